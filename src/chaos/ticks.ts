/** When a process started, from the kernel's clock ticks. */
import { unixSeconds } from "../os/clock.ts";
import { readText } from "../os/file.ts";

/** USER_HZ: what /proc counts in on every architecture that we build for. */
const TICKS_PER_SECOND = 100;
const WORD = 2 ** 32;

/** Turns ticks since boot, their low 32 bits, into Unix seconds: for processes of the last year, to 10 ms. */
export function tickClock(): (ticks: number) => number {
  const uptime = Number(readText("/proc/uptime")?.split(" ", 1)[0] ?? 0);
  const now = unixSeconds();
  const nowTicks = Math.round(uptime * TICKS_PER_SECOND);
  return (ticks) => now - ((((nowTicks - ticks) % WORD) + WORD) % WORD) / TICKS_PER_SECOND;
}
