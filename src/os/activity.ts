/** What a process does, for whoever judges whether it is well. */
import { descendantsOf } from "./descendants.ts";
import { readText } from "./file.ts";

export interface Activity {
  /** One letter as in /proc: R running, S sleeping, D in the kernel, T stopped, t traced, Z zombie. */
  readonly state: string;
  readonly parentPid: number;
  /** Its own CPU time and that of children it has waited for, clock ticks (10 ms). */
  readonly cpuTicks: number;
  /** Of a zombie: the signal that ended it, 0 if it ended by itself. */
  readonly endedBy: number;
}

/** One reading of /proc/<pid>/stat; undefined if there is no such process. */
export function activityOf(pid: number): Activity | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const number = (at: number): number => Number(fields[at]);
  const state = fields[0] as string;
  return {
    state,
    parentPid: number(1),
    cpuTicks: number(11) + number(12) + number(13) + number(14),
    // As `wait` has it; 0 for whoever may not trace the process, for whom every end looks orderly.
    endedBy: state === "Z" || state === "X" ? number(49) & 0x7f : 0,
  };
}

export const isStopped = (state: string): boolean => state === "T" || state === "t";

/**
 * A number that changes whenever the process has run, be it for a microsecond: two readings that are the same prove that it did
 * not in between. 0 where the kernel does not tell (no CONFIG_SCHED_INFO).
 */
export function runMark(pid: number): number {
  const text = readText(`/proc/${pid}/schedstat`);
  if (text === undefined) return 0;
  const [ran = "", , slices = ""] = text.trim().split(" ");
  return Bun.hash.crc32(`${ran} ${slices}`) || 1;
}

/** The CPU ticks of a process and of everything below it. */
export function treeCpuTicks(pid: number): number {
  return [pid, ...descendantsOf(pid)].reduce((sum, one) => sum + (activityOf(one)?.cpuTicks ?? 0), 0);
}
