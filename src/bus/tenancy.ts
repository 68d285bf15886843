/** Who hosts a slot: taking an id up and leaving it. Under the shard's lock. */
import { limits } from "../limits.ts";
import { ownIdentity } from "../os/process.ts";
import type { Registered, Registration } from "./contract.ts";
import { A, CHAIN, SLOT_AWAY, SLOT_FREE, SLOT_HOSTED, SLOT_LOST } from "./layout.ts";
import { takeHosting } from "./leases.ts";
import { sealStanding } from "./seals.ts";
import { clean, dirty, type Shard } from "./shard.ts";
import { allocateSlot, depthOf, hashOf, knownSlot, slotWord } from "./slots.ts";

/**
 * Makes this process the host of an id: of its old inbox if there is one, else of a new one. `role` is its number. After `findSlots`
 * for it, under the same lock.
 */
export function occupy(shard: Shard, { id, team }: Registration, role: number): Registered {
  const known = knownSlot(shard, id);
  if (known >= 0 && !takeHosting(shard, known)) {
    return { status: "taken", hostPid: shard.index.words[slotWord(known) + A.hostPid] as number };
  }
  globalThis.crashPoint?.("register.begun");
  dirty(shard);
  const slot = known >= 0 ? known : hostFreeSlot(shard, id);
  if (slot === undefined) {
    clean(shard);
    return { status: "full", limit: `${limits.agentsPerShard} agents a shard, or the space of ${shard.dir}` };
  }
  globalThis.crashPoint?.("register.allocated");
  const words = shard.index.words; // Allocation may have grown the index.
  const at = slotWord(slot);
  const incarnation = (words[at + A.incarnation] as number) + 1;
  words[at + A.role] = role;
  words[at + A.team] = team === undefined || team === "" ? 0 : hashOf(team);
  words[at + A.incarnation] = incarnation;
  words[at + A.hostPid] = ownIdentity().pid;
  Atomics.store(words, at + A.state, SLOT_HOSTED);
  globalThis.crashPoint?.("register.stated");
  sealStanding(words, at);
  clean(shard);
  globalThis.crashPoint?.("register.clean");
  return { status: "registered", incarnation };
}

/** Gives a slot a new incarnation without hosting it. Under the lock. */
export function supersedeHost(shard: Shard, slot: number): number {
  const words = shard.index.words;
  const at = slotWord(slot) + A.incarnation;
  dirty(shard);
  const incarnation = (words[at] as number) + 1;
  Atomics.store(words, at, incarnation);
  sealStanding(words, slotWord(slot));
  clean(shard);
  return incarnation;
}

/** A new slot, hosted by this process; undefined as `allocateSlot`. */
function hostFreeSlot(shard: Shard, id: string): number | undefined {
  for (;;) {
    const slot = allocateSlot(shard, id);
    if (slot === undefined || takeHosting(shard, slot)) return slot;
    // Somebody hosts an agent here that damage has taken from the index: the slot is none to give away.
    const { words } = shard.index;
    Atomics.store(words, slotWord(slot) + A.state, SLOT_LOST);
    sealStanding(words, slotWord(slot));
  }
}

/**
 * Ends the hosting of a slot: it keeps its inbox if that holds messages and is free otherwise. Under the lock.
 *
 * @returns how many messages are unread.
 */
export function vacate(shard: Shard, slot: number): number {
  const words = shard.index.words;
  const at = slotWord(slot);
  const unread = depthOf(shard, slot, CHAIN.data) + depthOf(shard, slot, CHAIN.control);
  dirty(shard);
  globalThis.crashPoint?.("vacate.dirty");
  words[at + A.hostPid] = 0;
  words[at + A.bell] = 0;
  words[at + A.bell + 1] = 0;
  Atomics.store(words, at + A.state, unread === 0 ? SLOT_FREE : SLOT_AWAY);
  globalThis.crashPoint?.("vacate.stated");
  sealStanding(words, at);
  clean(shard);
  globalThis.crashPoint?.("vacate.clean");
  return unread;
}
