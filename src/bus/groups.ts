/** What is done to many at once is done shard by shard, so that each shard's lock is taken once. */
import type { Shard } from "./shard.ts";

/** The positions of `all` by shard, those without one left out. */
export function groupBy<T>(all: readonly T[], shardOf: (one: T) => Shard | undefined): Map<Shard, number[]> {
  const groups = new Map<Shard, number[]>();
  let group: number[] = [];
  let last: Shard | undefined;
  for (let at = 0; at < all.length; at++) {
    const shard = shardOf(all[at] as T);
    if (shard === undefined) continue;
    if (shard !== last) {
      group = groups.get(shard) ?? [];
      if (group.length === 0) groups.set(shard, group);
      last = shard;
    }
    group.push(at);
  }
  return groups;
}
