/** What the control groups around this process leave it of memory and of processor time, in either version. */
import { controlGroups } from "./cgroup.ts";
import { readText } from "./file.ts";
import { numberIn } from "./pids.ts";

export interface GroupBound {
  /** Bytes, or cores' worth of time; Infinity where no group sets a bound. */
  readonly left: number;
  /** The group that sets the tightest. */
  readonly group: string | undefined;
}

const unbounded: GroupBound = { left: Number.POSITIVE_INFINITY, group: undefined };
const tighter = (one: GroupBound, other: GroupBound): GroupBound => (other.left < one.left ? other : one);
/** Version 1 writes "no limit" as a number near 2^63. */
const NO_LIMIT = 2 ** 60;

/** Bytes that can still be had; file cache that the kernel would give back counts as free. */
export function groupMemory(): GroupBound {
  return controlGroups("memory").reduce((least, group) => {
    const most = numberIn(`${group}/memory.max`) ?? numberIn(`${group}/memory.limit_in_bytes`);
    const used = numberIn(`${group}/memory.current`) ?? numberIn(`${group}/memory.usage_in_bytes`);
    if (most === undefined || used === undefined || most >= NO_LIMIT) return least;
    const cache = /^(?:total_)?inactive_file (\d+)$/m.exec(readText(`${group}/memory.stat`) ?? "")?.[1];
    return tighter(least, { left: Math.max(0, most - used + Number(cache ?? 0)), group });
  }, unbounded);
}

/** Cores' worth of time. */
export function groupProcessors(): GroupBound {
  return controlGroups("cpu").reduce((least, group) => {
    const [quota, period] = readText(`${group}/cpu.max`)?.trim().split(" ").map(Number) ?? [
      numberIn(`${group}/cpu.cfs_quota_us`),
      numberIn(`${group}/cpu.cfs_period_us`),
    ];
    // "max", and -1 in version 1, are no numbers here.
    return quota && period ? tighter(least, { left: quota / period, group }) : least;
  }, unbounded);
}
