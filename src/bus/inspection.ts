/** Looking at a bus: who is on it, and what it has counted. */
import { limits } from "../limits.ts";
import { monotonicMs } from "../os/clock.ts";
import { audit, isIdentitySound } from "./audit.ts";
import type { AgentEntry, BusStats, LockWaits, Role } from "./contract.ts";
import { acceptedOf } from "./counters.ts";
import { A, C, CHAIN, type ChainNumber, H, SLOT_BYTES, SLOT_FREE, SLOT_LOST } from "./layout.ts";
import { isChainSealed, isStandingSealed } from "./seals.ts";
import { beyondRepair, ifFree, lockWaits, refreshIndex, type Shard, withShard } from "./shard.ts";
import { depthOf, isTenanted, slotId, slotsUsed, slotWord } from "./slots.ts";

/** A role's number on the bus is its place here. */
export const roles: readonly Role[] = ["guest", "worker", "coordinator", "master"];

type Found = AgentEntry & { readonly idHash: number; readonly teamHash: number };

interface Tenant {
  readonly generation: number;
  readonly id: string;
}

/** Slot by slot, who was there. A tenant's generation is its slot's name for it: as long as that is the same, so is the id. */
type Known = Map<number, Tenant>;

export function listAgents(shards: readonly Shard[]): AgentEntry[] {
  const found: Found[] = [];
  for (const shard of shards) found.push(...withShard(shard, () => audited(shard, new Map())));
  return entriesOf(found);
}

/**
 * Lists agents for somebody who looks again and again: without a lock where what is read is as it was sealed. So nobody who works waits
 * for the look, nor the look for those who have the lock and no processor.
 */
export class Onlooker {
  private readonly known = new Map<Shard, Known>();
  private readonly auditedAt = new Map<Shard, number>();

  list(shards: readonly Shard[]): AgentEntry[] {
    this.auditOne(shards);
    const found: Found[] = [];
    for (const shard of shards) found.push(...this.tenantsOf(shard));
    return entriesOf(found);
  }

  private tenantsOf(shard: Shard): readonly Found[] {
    const known = this.known.get(shard) ?? new Map<number, Tenant>();
    this.known.set(shard, known);
    // Others may have added slots.
    refreshIndex(shard);
    for (let left = LOOKS; left > 0; left--) {
      const found = tenantsIn(shard, known);
      if (found !== undefined) return found;
    }
    return withShard(shard, () => audited(shard, known));
  }

  /** What a look cannot see: damage to an id that is known already, and to what belongs to no agent. */
  private auditOne(shards: readonly Shard[]): void {
    const now = monotonicMs();
    const due = shards.find(
      (one) => now - (this.auditedAt.get(one) ?? Number.NEGATIVE_INFINITY) >= limits.onlookerAuditMs,
    );
    if (due === undefined) return;
    this.auditedAt.set(due, now);
    ifFree(due, () => audit(due));
  }
}

/** A change takes microseconds: one that lasts for several looks is damage, or of somebody who does not run. */
const LOOKS = 3;

/** Under the lock. */
function audited(shard: Shard, known: Known): readonly Found[] {
  audit(shard);
  known.clear();
  const found = tenantsIn(shard, known);
  if (found === undefined) throw beyondRepair(shard);
  return found;
}

/** From a copy of the slots. Undefined where one is not as it was sealed: it is being changed, or damaged. */
function tenantsIn(shard: Shard, known: Known): readonly Found[] | undefined {
  const used = slotsUsed(shard);
  const words = shard.index.words.slice(slotWord(0), slotWord(used));
  const found: Found[] = [];
  for (let slot = 0; slot < used; slot++) {
    const at = (slot * SLOT_BYTES) >>> 2;
    if (!isStandingSealed(words, at)) return undefined;
    const state = words[at + A.state];
    if (state === SLOT_FREE || state === SLOT_LOST) continue;
    const isWhole = isChainSealed(words, at, CHAIN.data) && isChainSealed(words, at, CHAIN.control);
    const id = isWhole ? idOf(shard, slot, words[at + A.generation] as number, known) : undefined;
    if (id === undefined) return undefined;
    const depthIn = (chain: ChainNumber): number => words[at + A.chain + chain * C.words + C.depth] as number;
    found.push({
      id,
      role: roles[words[at + A.role] as number] ?? "guest",
      team: "",
      hostPid: words[at + A.hostPid] as number,
      depth: { data: depthIn(CHAIN.data), control: depthIn(CHAIN.control) },
      incarnation: words[at + A.incarnation] as number,
      idHash: words[at + A.idHash] as number,
      teamHash: words[at + A.team] as number,
    });
  }
  return found;
}

function idOf(shard: Shard, slot: number, generation: number, known: Known): string | undefined {
  const tenant = known.get(slot);
  if (tenant?.generation === generation) return tenant.id;
  const id = slotId(shard, slot);
  // A new tenant's generation is written before its id, so the id that was read is of this one if the generation is so still.
  const isOurs =
    isIdentitySound(shard, slot) && Atomics.load(shard.index.words, slotWord(slot) + A.generation) === generation;
  if (!isOurs) return undefined;
  known.set(slot, { generation, id });
  return id;
}

/** With the teams' names, in the order of the ids. */
function entriesOf(found: readonly Found[]): AgentEntry[] {
  const leads = new Map(found.map(({ idHash, id }) => [idHash, id]));
  return found
    .map(({ idHash: _, teamHash, ...entry }) => ({ ...entry, team: teamHash === 0 ? "" : (leads.get(teamHash) ?? "") }))
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
    const used = slotsUsed(shard);
    let at = slotWord(0) + A.chain + C.depth;
    for (let slot = 0; slot < used; slot++, at += SLOT_BYTES >>> 2) {
      // Who measures goes through all of them, and in most there is nothing.
      if (words[at] === 0 && words[at + C.words] === 0) continue;
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
  return { ...waitsForLocks(), ...sum, deepest };
}

export function waitsForLocks(): LockWaits {
  const { count, ms, mostMs } = lockWaits;
  return { lockWaits: count, lockWaitMs: ms, lockWaitMostMs: mostMs };
}
