/** How many more processes this one may start. */
import { controlGroups } from "./cgroup.ts";
import { readText } from "./file.ts";
import { effectiveUid } from "./process.ts";
import { resourceLimit } from "./rlimits.ts";
import { listDirectory } from "./tree.ts";

export interface ProcessRoom {
  /** Processes that can still be started; Infinity where nothing limits them. */
  readonly free: number;
  readonly limit: number;
  /** The limit that is met first, as a person would look for it. */
  readonly what: string;
}

/** A number in a file of one line; undefined where there is none ("max", or no such file). */
export function numberIn(path: string): number | undefined {
  const text = readText(path)?.trim();
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

function ownedProcesses(): number {
  const uid = effectiveUid();
  let count = 0;
  for (const pid of listDirectory("/proc")) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const status = readText(`/proc/${pid}/status`) ?? "";
    if (Number(/^Uid:\t([0-9]+)/m.exec(status)?.[1]) === uid) count += Number(/^Threads:\t([0-9]+)/m.exec(status)?.[1]);
  }
  return count;
}

/** The tightest of pids.max of the control groups, kernel.pid_max, kernel.threads-max and `ulimit -u`. */
export function processRoom(): ProcessRoom {
  const rooms: ProcessRoom[] = [];
  for (const directory of controlGroups("pids")) {
    const limit = numberIn(`${directory}/pids.max`);
    const current = numberIn(`${directory}/pids.current`);
    if (limit === undefined || current === undefined) continue;
    rooms.push({ free: limit - current, limit, what: `${directory}/pids.max` });
  }
  // The last field but one of loadavg: running/all threads.
  const threads = Number(/\/([0-9]+) /.exec(readText("/proc/loadavg") ?? "")?.[1] ?? 0);
  for (const name of ["pid_max", "threads-max"]) {
    const limit = numberIn(`/proc/sys/kernel/${name}`);
    if (limit !== undefined) rooms.push({ free: limit - threads, limit, what: `/proc/sys/kernel/${name}` });
  }
  const { soft } = resourceLimit("processes");
  // The superuser is exempt.
  if (Number.isFinite(soft) && effectiveUid() !== 0)
    rooms.push({ free: soft - ownedProcesses(), limit: soft, what: "ulimit -u" });
  const none: ProcessRoom = { free: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY, what: "nothing" };
  return rooms.reduce((least, room) => (room.free < least.free ? room : least), none);
}
