/**
 * How many data messages a second each sender may send, by the load of the machine. Pure.
 *
 * The rule: up to `limits.pacingFromPercent` of pressure there is no limit. From there on to 100 % it falls in a straight line
 * from the configured rate (`bus.sender_rate`) to `limits.senderPerSecondLeast`, or to that rate where it is lower still. So no
 * sender is ever silenced, and what the machine permits all of them together grows with their number: each one's share is
 * limited, not their talk.
 *
 * Pressure is the larger of CPU's and memory's `some avg10` (`/proc/pressure`: the share of the last ten seconds in which some
 * process had to wait for it). Where the kernel does not say, it is the processes that wanted to run beyond one for each
 * core, in the last minute, as a share of the cores: twice as many as cores are 100 %.
 */
import { limits } from "../limits.ts";

/** `pressure` of the kernel, in percent; undefined where it does not say. */
export function pressureOf(pressure: number | undefined, load: number, cores: number): number {
  return Math.min(100, Math.max(0, pressure ?? (100 * (load - cores)) / cores));
}

/** 0 for no limit. */
export function permittedPerSecond(configured: number, pressurePercent: number): number {
  const from = limits.pacingFromPercent;
  if (configured === 0 || pressurePercent <= from) return 0;
  const least = Math.min(configured, limits.senderPerSecondLeast);
  const share = (Math.min(100, pressurePercent) - from) / (100 - from);
  return Math.max(1, Math.round(configured - share * (configured - least)));
}
