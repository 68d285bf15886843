/** How loaded the machine is, and how much memory is left. */
import { controlGroups } from "./cgroup.ts";
import { readText } from "./file.ts";

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

/**
 * Bytes of memory that can still be had without swapping: what the kernel says is available, or what the tightest control
 * group around this process has left, where that is less. A group's file cache counts as left where it is not in use. Infinity
 * where nothing is known.
 */
export function availableBytes(): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readText("/proc/meminfo") ?? "")?.[1];
  let least = available === undefined ? Number.POSITIVE_INFINITY : Number(available) * 1024;
  for (const group of controlGroups("memory")) {
    const limit = memoryLimit(group);
    if (limit === undefined) continue;
    const used = Number(readText(`${group}/memory.current`) ?? readText(`${group}/memory.usage_in_bytes`) ?? 0);
    const cache = /^(?:total_)?inactive_file (\d+)$/m.exec(readText(`${group}/memory.stat`) ?? "")?.[1] ?? 0;
    least = Math.min(least, Math.max(0, limit - used + Number(cache)));
  }
  return least;
}

function memoryLimit(group: string): number | undefined {
  const text = (readText(`${group}/memory.max`) ?? readText(`${group}/memory.limit_in_bytes`))?.trim() ?? "max";
  return /^[0-9]+$/.test(text) ? Number(text) : undefined;
}
