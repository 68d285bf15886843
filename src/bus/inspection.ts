/** Looking at a bus: who is on it, and what it has counted. */
import { limits } from "../limits.ts";
import { audit } from "./audit.ts";
import type { AgentEntry, BusStats, Role } from "./contract.ts";
import { acceptedOf } from "./counters.ts";
import { A, CHAIN, H } from "./layout.ts";
import { lockWaits, refreshIndex, type Shard, withShard } from "./shard.ts";
import { depthOf, hashOf, isTenanted, slotId, slotsUsed, slotWord } from "./slots.ts";

/** A role's number on the bus is its place here. */
export const roles: readonly Role[] = ["guest", "worker", "coordinator", "master"];

export function listAgents(shards: readonly Shard[]): AgentEntry[] {
  const found: (AgentEntry & { hash: number })[] = [];
  for (const shard of shards) {
    withShard(shard, () => {
      audit(shard);
      const words = shard.index.words;
      for (let slot = 0; slot < slotsUsed(shard); slot++) {
        if (!isTenanted(shard, slot)) continue;
        const at = slotWord(slot);
        found.push({
          id: slotId(shard, slot),
          role: roles[words[at + A.role] as number] ?? "guest",
          team: "",
          hash: words[at + A.team] as number,
          hostPid: words[at + A.hostPid] as number,
          depth: { data: depthOf(shard, slot, CHAIN.data), control: depthOf(shard, slot, CHAIN.control) },
          incarnation: words[at + A.incarnation] as number,
        });
      }
    });
  }
  const leads = new Map(found.map(({ id }) => [hashOf(id), id]));
  return found
    .map(({ hash, ...entry }) => ({ ...entry, team: hash === 0 ? "" : (leads.get(hash) ?? "") }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Without a lock: each figure is of some moment, all of about the same. */
export function statsOf(shards: readonly Shard[]): BusStats {
  const sum = { refusedInboxFull: 0, refusedBusFull: 0, refusedRate: 0, accepted: 0, depth: 0 };
  let deepest: BusStats["deepest"];
  for (const shard of shards) {
    // Others may have added slots.
    refreshIndex(shard);
    const { words } = shard.index;
    sum.refusedInboxFull += words[H.refusedInboxFull] as number;
    sum.refusedBusFull += words[H.refusedBusFull] as number;
    sum.refusedRate += words[H.refusedRate] as number;
    sum.accepted += acceptedOf(words);
    for (let slot = 0; slot < slotsUsed(shard); slot++) {
      if (!isTenanted(shard, slot)) continue;
      const data = depthOf(shard, slot, CHAIN.data);
      const control = depthOf(shard, slot, CHAIN.control);
      sum.depth += data + control;
      const isControl = control / limits.controlMessages > data / shard.inboxMessages;
      const depth = isControl ? control : data;
      const limit = isControl ? limits.controlMessages : shard.inboxMessages;
      if (depth / limit > (deepest === undefined ? 0 : deepest.depth / deepest.limit))
        deepest = { id: slotId(shard, slot), depth, limit };
    }
  }
  const { count, ms, mostMs } = lockWaits;
  return { lockWaits: count, lockWaitMs: ms, lockWaitMostMs: mostMs, ...sum, deepest };
}
