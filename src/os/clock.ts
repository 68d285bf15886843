/** Time. Durations come from the monotonic clock; only timestamps for people come from the wall clock. */
import { libc, pointerTo } from "./libc.ts";

/** Milliseconds since an arbitrary start, monotonic, with decimals. */
export function monotonicMs(): number {
  return performance.now();
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
