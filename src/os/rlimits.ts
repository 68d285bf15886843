/** Resource limits of this process and of what it starts. */
import { openLibc, pointerTo, types } from "./libc.ts";

const { i32, ptr } = types;
const { getrlimit, setrlimit } = openLibc({
  getrlimit: { args: [i32, ptr], returns: i32 },
  setrlimit: { args: [i32, ptr], returns: i32 },
});

const resources = { fileBytes: 1, processes: 6, descriptors: 7, addressBytes: 9 } as const;

export interface ResourceLimit {
  /** Infinity where there is none. */
  readonly soft: number;
  readonly hard: number;
}

const pair = new BigUint64Array(2);
const UNLIMITED = 0xffff_ffff_ffff_ffffn;
const asNumber = (value: bigint): number => (value === UNLIMITED ? Number.POSITIVE_INFINITY : Number(value));

/** RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_FSIZE or RLIMIT_AS. */
export function resourceLimit(which: keyof typeof resources): ResourceLimit {
  if (getrlimit(resources[which], pointerTo(pair)) !== 0) return { soft: 0, hard: 0 };
  return { soft: asNumber(pair[0] as bigint), hard: asNumber(pair[1] as bigint) };
}

/**
 * Raises the soft limit of descriptors to `need` if it is lower, as far as the hard limit lets it, and returns what holds
 * now. No further than needed: children inherit it, and old programs close every possible descriptor one by one.
 */
export function raiseDescriptors(need: number): ResourceLimit {
  const { soft, hard } = resourceLimit("descriptors");
  if (soft >= need) return { soft, hard };
  // `pair` still holds the hard limit.
  pair[0] = BigInt(Math.min(need, hard));
  setrlimit(resources.descriptors, pointerTo(pair));
  return resourceLimit("descriptors");
}
