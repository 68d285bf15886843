/** Which process is which. A pid alone is not an identity: it is reused, and a zombie still answers to it. */
import { assert } from "../assert.ts";
import { readText, statPath } from "./file.ts";
import { libc } from "./libc.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since boot, the low 32 bits: with the pid it names one process of this boot. */
  readonly startTicks: number;
}

export interface ProcessState extends ProcessIdentity {
  /** One letter as in /proc: R running, S sleeping, T stopped, Z zombie… */
  readonly state: string;
  readonly parentPid: number;
}

/** Reads /proc/<pid>/stat; undefined if there is no such process. */
export function processState(pid: number): ProcessState | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const rest = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: rest[0] as string,
    parentPid: Number(rest[1]),
    startTicks: Number(BigInt(rest[19] as string) & 0xffffffffn),
  };
}

let self: ProcessIdentity | undefined;

/** This process. */
export function ownIdentity(): ProcessIdentity {
  self ??= { pid: process.pid, startTicks: processState(process.pid)?.startTicks ?? 0 };
  return self;
}

/** Whether that very process still runs. A zombie is dead: it will never act again. */
export function isAlive(who: ProcessIdentity): boolean {
  const now = processState(who.pid);
  return now !== undefined && now.startTicks === who.startTicks && now.state !== "Z" && now.state !== "X";
}

/** Sends a signal to one process; false if it is gone or not ours. */
export function signalProcess(pid: number, signal: number): boolean {
  // Zero and below address groups, or everybody.
  assert(Number.isSafeInteger(pid) && pid > 0, `${pid} is a process`);
  return libc.kill(pid, signal) === 0;
}

export const effectiveUid = (): number => libc.geteuid();

let boot: string | undefined;

/** Names this boot of the machine. */
export function bootId(): string {
  boot ??= readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "unknown";
  return boot;
}

/** Names the pid namespace that our pids are of; 0 if unknown. Those of another are other processes', or nobody's. */
export const pidNamespace = (): number => (statPath("/proc/self/ns/pid", true)?.inode ?? 0) >>> 0;
