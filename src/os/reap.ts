/**
 * How children ended. One place per process waits for all of them, adopted orphans included (a subreaper and PID 1 have
 * those), so nothing may use Bun.spawn beside it.
 *
 * An ended child is first looked at (`WNOWAIT`): as a zombie it still holds its pid, so its process group cannot be
 * anybody else's when what is left in it is killed. Then it is reaped.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";
import { openLibc, pointerTo, types } from "./libc.ts";
import { processState } from "./process.ts";
import { SIGKILL, signalGroup } from "./signals.ts";

export interface Exit {
  readonly pid: number;
  /** 0–255; 128 + signal where a signal ended it. */
  readonly code: number;
  /** 0 if none. */
  readonly signal: number;
}

interface Watched {
  readonly onExit: (exit: Exit) => void;
  readonly endGroup: boolean;
}

/** Children that another thread starts: there is a while in which they live and their pids are not known here. */
export interface Births {
  /** Tells of those that have been started since the last time. */
  tell(): void;
  /** Whether a child that is not watched may be one that has not been told of. */
  mayBear(pid: number): boolean;
  /** So many are to come that exits may wait until the next of them are told: then `reapHandful` is called. */
  readonly busy: boolean;
}

let births: Births | undefined;

/** Whom to ask before an unknown child is taken for an adopted one. */
export function expectBirths(source: Births | undefined): void {
  births = source;
}

const { i32, ptr } = types;
const { waitid, waitpid } = openLibc({
  waitid: { args: [i32, i32, ptr, i32], returns: i32 },
  waitpid: { args: [i32, ptr, i32], returns: i32 },
});

const P_ALL = 0;
const NOHANG = 1;
const EXITED = 4;
const NOWAIT = 0x0100_0000;
/** si_code of a child that ended by itself; the others are signals. */
const CLD_EXITED = 1;

// siginfo_t as 32-bit words: [2] code, [4] pid, [6] status, on x86-64 and arm64.
const info = new Int32Array(new ArrayBuffer(128));
const infoPointer = pointerTo(info);
const status = new Int32Array(new ArrayBuffer(8));
const watched = new Map<number, Watched>();
/** Exits that nobody has asked for: a process whose children may be adopted with their parent's team asks later. */
const unclaimed = new Map<number, Exit>();
let keepsUnclaimed = false;
/** Should a signal ever be missed, the tick finds the child. */
const SAFETY_TICK_MS = 500;
let ticking: ReturnType<typeof setInterval> | undefined;

let listening = false;
/** A signal for each exit would cost more than the exit while many start and end: then it is not listened to. */
let paused = false;

const onChild = (): void => {
  if (births?.busy !== true) reapNow();
  else {
    paused = true;
    process.off("SIGCHLD", onChild);
  }
};

/** Reaps what has ended since births became busy, and listens again when they no longer are. */
export function reapHandful(): void {
  if (paused && births?.busy !== true) {
    paused = false;
    process.on("SIGCHLD", onChild);
  }
  reapNow();
}

/** Comes before the first spawn: a child may end before `spawnProgram` has returned. */
export function listenForExits(): void {
  if (listening) return;
  listening = true;
  process.on("SIGCHLD", onChild); // It does not keep the loop alive; the tick does.
}

function listenWhileWatching(): void {
  if (watched.size > 0) ticking ??= setInterval(reapNow, SAFETY_TICK_MS);
  else if (ticking !== undefined) {
    clearInterval(ticking);
    ticking = undefined;
  }
}

function remember(exit: Exit): void {
  unclaimed.set(exit.pid, exit);
  if (unclaimed.size <= limits.exitsKept) return;
  for (const oldest of unclaimed.keys()) {
    unclaimed.delete(oldest);
    return;
  }
}

/** Calls `onExit` once when this child has ended. With `endGroup`, what is left of its process group is killed first. */
export function watchChild(pid: number, onExit: (exit: Exit) => void, endGroup: boolean): void {
  assert(pid > 1 && !watched.has(pid), `process ${pid} is a child that is not watched yet`);
  unclaimed.delete(pid);
  watched.set(pid, { onExit, endGroup });
  listenWhileWatching();
}

/** From now on exits of children that are not watched are remembered for `adoptChild`, the last `limits.exitsKept` of them. */
export function keepExits(): void {
  keepsUnclaimed = true;
}

/**
 * `watchChild` for a process that became a child of this one when its parent died: its exit may have come by already, and is
 * then told in the next microtask. False if it is no child of ours and its exit is not known.
 */
export function adoptChild(pid: number, onExit: (exit: Exit) => void): boolean {
  const exit = unclaimed.get(pid);
  if (exit !== undefined) {
    unclaimed.delete(pid);
    queueMicrotask(() => onExit(exit));
    return true;
  }
  if (processState(pid)?.parentPid !== process.pid) return false;
  watchChild(pid, onExit, true);
  return true;
}

/**
 * Reaps what has ended by now; returns how many. Runs by itself (SIGCHLD and a safety tick) from the first `watchChild`
 * to the last exit.
 */
export function reapNow(): number {
  let reaped = 0;
  for (;;) {
    info[4] = 0;
    if (waitid(P_ALL, 0, infoPointer, EXITED | NOHANG | NOWAIT) !== 0) break;
    const pid = info[4] as number;
    if (pid === 0) break;
    const signal = info[2] === CLD_EXITED ? 0 : (info[6] as number);
    const code = signal > 0 ? 128 + signal : (info[6] as number) & 0xff;
    if (!watched.has(pid)) births?.tell();
    const child = watched.get(pid);
    if (child === undefined && births?.mayBear(pid)) break;
    if (child?.endGroup) signalGroup(pid, SIGKILL);
    watched.delete(pid);
    reaped++;
    if (child === undefined && keepsUnclaimed) remember({ pid, code, signal });
    try {
      // It is told before it is reaped: what is recorded there is recorded while nobody else can have lost it.
      child?.onExit({ pid, code, signal });
    } finally {
      waitpid(pid, pointerTo(status), NOHANG);
    }
  }
  if (reaped > 0) listenWhileWatching();
  return reaped;
}
