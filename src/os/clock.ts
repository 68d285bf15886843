/** Time. Durations come from the monotonic clock; only timestamps for people come from the wall clock. */
import { libc, pointerTo } from "./libc.ts";

/** Milliseconds since an arbitrary start, monotonic, with decimals. */
export function monotonicMs(): number {
  return performance.now();
}

const CLOCK_MONOTONIC = 1;
const time = new BigInt64Array(2);

/** Milliseconds of the system's monotonic clock, with decimals: the same in all processes, unlike `monotonicMs`. */
export function systemMs(): number {
  libc.clockGettime(CLOCK_MONOTONIC, pointerTo(time));
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}

const CLOCK_THREAD_CPUTIME_ID = 3;

/** What this thread has had of a processor since it began, user and system: milliseconds, with decimals. */
export function threadCpuMs(): number {
  libc.clockGettime(CLOCK_THREAD_CPUTIME_ID, pointerTo(time));
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}

/** Unix time in seconds, with decimals. */
export function unixSeconds(): number {
  return Date.now() / 1000;
}

const duration = new BigInt64Array(2);

/** Blocks the whole process. For waits inside one-shot commands and lock retries. */
export function sleepMs(ms: number): void {
  if (ms <= 0) return;
  duration[0] = BigInt(Math.floor(ms / 1000));
  duration[1] = BigInt(Math.round((ms % 1000) * 1e6));
  libc.nanosleep(pointerTo(duration));
}
