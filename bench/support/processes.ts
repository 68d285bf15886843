/** Processes: timing whole ones, and looking at the tree below one. By parenthood, never by name. */
import { readFileSync, readlinkSync } from "node:fs";

export interface Ended {
  /** Wall time from before the spawn until the exit was seen. */
  readonly ms: number;
  /** User and system time of it and of all its descendants that were waited for, in milliseconds. */
  readonly cpuMs: number;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Given on stdin; without it stdin is /dev/null. */
  readonly stdin?: Uint8Array | undefined;
}

/** Every contender goes this way, so what it costs is in every figure. */
async function runToEnd(command: Command): Promise<Ended> {
  const start = performance.now();
  const child = Bun.spawn([...command.argv], {
    env: command.env ?? process.env,
    stdin: command.stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [exitCode, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const ms = performance.now() - start;
  return { ms, cpuMs: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000, exitCode, stdout, stderr };
}

/** Runs a command to its end; throws unless it exits with 0. */
export async function succeed(command: Command): Promise<Ended> {
  const ended = await runToEnd(command);
  if (ended.exitCode === 0) return ended;
  throw new Error(`${command.argv.join(" ")} exited with ${ended.exitCode}: ${ended.stderr.slice(-2000)}`);
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process has ended in the meantime.
  }
};

/** `pid` and all its living descendants. */
function tree(pid: number): number[] {
  const found = [pid];
  for (let i = 0; i < found.length; i++) {
    const children = read(`/proc/${found[i]}/task/${found[i]}/children`);
    for (const child of children.split(" ")) if (child !== "") found.push(Number(child));
  }
  return found;
}

function executableOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return ""; // The process has ended in the meantime.
  }
}

const kib = (text: string, key: string): number =>
  Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);

export const rssBytes = (pid: number): number => kib(read(`/proc/${pid}/status`), "VmRSS") * 1024;

/**
 * Sums the proportional set size of the processes below (and with) `pid` that run the executable `executable`. A child
 * between fork and exec still shows its parent's memory, so a process counts from the second look on.
 */
export function pssSampler(pid: number, executable: string): () => { bytes: number; processes: number } {
  let before = new Set<number>();
  return () => {
    const own = tree(pid).filter((each) => executableOf(each) === executable);
    let bytes = 0;
    let processes = 0;
    for (const each of own) {
      if (!before.has(each)) continue;
      bytes += kib(read(`/proc/${each}/smaps_rollup`), "Pss") * 1024;
      processes++;
    }
    before = new Set(own);
    return { bytes, processes };
  };
}
