/** What is done to many at once is done shard by shard, so that each shard's lock is taken once. */
import type { Shard } from "./shard.ts";

/** The positions of `all` by shard, those without one left out. */
export function groupBy<T>(all: readonly T[], shardOf: (one: T) => Shard | undefined): Map<Shard, number[]> {
  const groups = new Map<Shard, number[]>();
  for (let at = 0; at < all.length; at++) {
    const shard = shardOf(all[at] as T);
    const group = shard && groups.get(shard);
    if (group !== undefined) group.push(at);
    else if (shard !== undefined) groups.set(shard, [at]);
  }
  return groups;
}
