/** The processes below this one, through /proc: for ending exactly those, never by name. */
import { monotonicMs, sleepMs } from "./clock.ts";
import { readText } from "./file.ts";
import { processState, signalProcess } from "./process.ts";
import { reapNow } from "./reap.ts";
import { SIGKILL } from "./signals.ts";
import { listDirectory } from "./tree.ts";

const isNumber = (name: string): boolean => /^[0-9]+$/.test(name);

/** Children of every thread: an adopted orphan may belong to any of ours. Undefined where the kernel has no such file. */
function childrenByThread(pid: number): number[] | undefined {
  const children: number[] = [];
  for (const thread of listDirectory(`/proc/${pid}/task`)) {
    const text = readText(`/proc/${pid}/task/${thread}/children`);
    if (text === undefined && thread === `${pid}` && processState(pid) !== undefined) return undefined;
    for (const child of (text ?? "").split(" ")) if (child !== "") children.push(Number(child));
  }
  return children;
}

/** All processes by parent: one pass over /proc, for kernels without CONFIG_PROC_CHILDREN. */
function childrenOfAll(): Map<number, number[]> {
  const byParent = new Map<number, number[]>();
  for (const pid of listDirectory("/proc").filter(isNumber).map(Number)) {
    const parent = processState(pid)?.parentPid;
    if (parent === undefined) continue;
    const siblings = byParent.get(parent);
    if (siblings === undefined) byParent.set(parent, [pid]);
    else siblings.push(pid);
  }
  return byParent;
}

/**
 * Whether /proc is that of our pid namespace. In a new one without a /proc of its own, its numbers are other processes', and
 * must not be acted on; there, the end of the namespace's first process ends all others anyway.
 */
export function isOwnProc(): boolean {
  return readText("/proc/self/stat")?.split(" ", 1)[0] === String(process.pid);
}

/** Pids of the children of a process, zombies among them. Empty where /proc is not that of our pid namespace. */
export function childrenOf(pid: number): number[] {
  if (!isOwnProc()) return [];
  return childrenByThread(pid) ?? childrenOfAll().get(pid) ?? [];
}

/** Whether this process has children, zombies among them, beside the `spared` ones. */
export function hasOthers(spared: readonly number[]): boolean {
  return childrenOf(process.pid).some((pid) => !spared.includes(pid));
}

/** The environment that a process was started with; undefined if it is gone, a zombie, or somebody else's. */
export function startVariables(pid: number): Record<string, string> | undefined {
  const text = readText(`/proc/${pid}/environ`);
  if (text === undefined || text === "") return undefined;
  const variables: Record<string, string> = {};
  for (const entry of text.split("\0")) {
    const at = entry.indexOf("=");
    if (at > 0) variables[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return variables;
}

/** Pids of all living descendants of `root`, parents before children. Zombies are not among them. */
export function descendantsOf(root: number): number[] {
  if (!isOwnProc()) return [];
  const all = childrenByThread(root) === undefined ? childrenOfAll() : undefined;
  const found: number[] = [];
  const queue = [root];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    for (const child of (all ? all.get(parent) : childrenByThread(parent)) ?? []) {
      queue.push(child);
      if (processState(child)?.state !== "Z") found.push(child);
    }
  }
  return found;
}

/**
 * Kills every descendant of this process but those in the trees of `spared`, those that come up meanwhile too, and reaps.
 * Blocks, for a few milliseconds as a rule and at most `waitMs`. A subreaper (`becomeSubreaper`) reaches all that it ever
 * started, whatever session or group they made for themselves.
 *
 * @returns how many there were; `left` are the pids still there (in uninterruptible sleep, or another user's).
 */
export function endDescendants(
  waitMs: number,
  spared: readonly number[] = [],
): { readonly ended: number; readonly left: readonly number[] } {
  if (!hasOthers(spared)) return { ended: 0, left: [] };
  const met = new Set<number>();
  const until = monotonicMs() + waitMs;
  for (;;) {
    const kept = new Set(spared.flatMap((pid) => [pid, ...descendantsOf(pid)]));
    const found = descendantsOf(process.pid).filter((pid) => !kept.has(pid));
    for (const pid of found) {
      met.add(pid);
      signalProcess(pid, SIGKILL);
    }
    reapNow();
    if (found.length === 0 || monotonicMs() >= until) return { ended: met.size - found.length, left: found };
    sleepMs(1);
  }
}
