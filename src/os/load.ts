/** How loaded the machine is, and how much memory is left. */
import { readText } from "./file.ts";
import { groupMemory } from "./grouplimits.ts";

/** The share of the last ten seconds in which some process waited for this resource: percent. */
function someAvg10(resource: "cpu" | "memory"): number | undefined {
  const match = /^some avg10=([0-9.]+)/.exec(readText(`/proc/pressure/${resource}`) ?? "");
  return match === null ? undefined : Number(match[1]);
}

/** The larger of CPU's and memory's pressure, percent; undefined where the kernel does not tell (`/proc/pressure`). */
export function pressurePercent(): number | undefined {
  const cpu = someAvg10("cpu");
  const memory = someAvg10("memory");
  return cpu === undefined && memory === undefined ? undefined : Math.max(cpu ?? 0, memory ?? 0);
}

/** Processes that ran or wanted to, on average over the last minute. */
export function loadAverage(): number {
  return Number(/^[0-9.]+/.exec(readText("/proc/loadavg") ?? "")?.[0] ?? 0);
}

/** Bytes of memory that the whole machine has without swapping; Infinity where the kernel does not say. */
export function machineMemoryBytes(): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readText("/proc/meminfo") ?? "")?.[1];
  return available === undefined ? Number.POSITIVE_INFINITY : Number(available) * 1024;
}

/**
 * Bytes of memory that can still be had without swapping: what the kernel says is available, or what the tightest control
 * group around this process has left, where that is less. Infinity where nothing is known.
 */
export const availableBytes = (): number => Math.min(machineMemoryBytes(), groupMemory().left);
