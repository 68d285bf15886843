/** Slots of the index: which agents this shard knows, and where their inboxes begin and end. */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";
import { A, C, type ChainNumber, H, SLOT_BYTES, SLOT_FREE, SLOT_ID_BYTE, SLOT_LOST, SLOTS_BYTE } from "./layout.ts";
import { sealChain, sealIdentity, sealStanding, setHeader } from "./seals.ts";
import { growIndex, type Shard } from "./shard.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const hashOf = (id: string): number => Bun.hash.xxHash32(id, 0);

const SLOT_WORDS = SLOT_BYTES >>> 2;

/** Word index of a slot within the index file. */
export const slotWord = (slot: number): number => (SLOTS_BYTE + slot * SLOT_BYTES) >>> 2;

/** Word index of a chain of a slot. */
export const chainWord = (slot: number, chain: ChainNumber): number => slotWord(slot) + A.chain + chain * C.words;

export const slotsUsed = (shard: Shard): number =>
  Math.min(Atomics.load(shard.index.words, H.slotsUsed), (shard.index.length - SLOTS_BYTE) / SLOT_BYTES);

export const slotState = (shard: Shard, slot: number): number =>
  Atomics.load(shard.index.words, slotWord(slot) + A.state);

/** Whether a slot has a tenant. */
export function isTenanted(shard: Shard, slot: number): boolean {
  const state = slotState(shard, slot);
  return state !== SLOT_FREE && state !== SLOT_LOST;
}

export function slotId(shard: Shard, slot: number): string {
  const at = SLOTS_BYTE + slot * SLOT_BYTES + SLOT_ID_BYTE;
  const bytes = shard.index.bytes;
  const length = Math.min(bytes[at] as number, limits.agentIdChars);
  return decoder.decode(bytes.subarray(at + 1, at + 1 + length));
}

/** The slot of an agent that this process has found or made before, or -1. */
export function knownSlot(shard: Shard, id: string): number {
  const words = shard.index.words;
  const hint = shard.slotOf.get(id);
  if (hint === undefined || hint.slot >= slotsUsed(shard)) return -1;
  const at = slotWord(hint.slot);
  // A slot's generation names its tenant, so the id need not be compared again.
  const isIts = words[at + A.generation] === hint.generation && Atomics.load(words, at + A.state) !== SLOT_FREE;
  return isIts ? hint.slot : -1;
}

/** The slot of a registered agent, or -1. Without the lock the answer may be out of date by the time it is used. */
export function findSlot(shard: Shard, id: string): number {
  const known = knownSlot(shard, id);
  if (known >= 0) return known;
  const hash = hashOf(id);
  const { words } = shard.index;
  for (let slot = 0, at = slotWord(0), used = slotsUsed(shard); slot < used; slot++, at += SLOT_WORDS) {
    if (words[at + A.idHash] !== hash || Atomics.load(words, at + A.state) === SLOT_FREE || slotId(shard, slot) !== id)
      continue;
    shard.slotOf.set(id, { slot, generation: words[at + A.generation] as number });
    return slot;
  }
  return -1;
}

/**
 * Looks for many at once. Afterwards, and as long as the lock is held, who is not `knownSlot` has no slot: going through all slots for
 * each of a team would take as many steps as the team has pairs.
 */
export function findSlots(shard: Shard, ids: readonly string[]): void {
  const hashes = new Set(ids.map(hashOf));
  const { words } = shard.index;
  for (let slot = 0, at = slotWord(0), used = slotsUsed(shard); slot < used; slot++, at += SLOT_WORDS) {
    if (!hashes.has(words[at + A.idHash] as number) || Atomics.load(words, at + A.state) === SLOT_FREE) continue;
    const id = slotId(shard, slot);
    if (knownSlot(shard, id) < 0) shard.slotOf.set(id, { slot, generation: words[at + A.generation] as number });
  }
}

/**
 * Takes a free slot for `id` and writes everything but its state, so that a death on the way leaves it free. Under the
 * lock, between `dirty` and `clean`. Undefined at the shard's bound or where the file system is full.
 */
export function allocateSlot(shard: Shard, id: string): number | undefined {
  const used = slotsUsed(shard);
  // A team is registered one after the other: the next slot is mostly the one behind the last.
  let slot = used < (shard.index.words[H.slotCapacity] as number) ? used : 0;
  while (slot < used && slotState(shard, slot) !== SLOT_FREE) slot++;
  if (slot === used) {
    if (used >= limits.agentsPerShard) return undefined;
    if (used >= (shard.index.words[H.slotCapacity] as number) && growIndex(shard) < 0) return undefined;
  }
  const words = shard.index.words;
  const at = slotWord(slot);
  const generation = ((words[at + A.generation] as number) + 1) >>> 0;
  writeTenant(shard, slot, generation, id);
  // A slot in use is a sealed one: counted last.
  if (slot === used) setHeader(words, H.slotsUsed, used + 1);
  globalThis.crashPoint?.("slot.counted");
  shard.slotOf.set(id, { slot, generation });
  return slot;
}

/** Writes a slot anew, its inbox empty and its state free. Under the lock, not CLEAN. */
export function writeTenant(shard: Shard, slot: number, generation: number, id: string): void {
  const { words, bytes } = shard.index;
  const at = slotWord(slot);
  words[at + A.state] = SLOT_FREE;
  globalThis.crashPoint?.("slot.emptied");
  // Never cleared, not for a moment: after a death it would begin again and name an earlier tenant.
  words[at + A.generation] = generation;
  words.fill(0, at + A.generation + 1, at + A.chain);
  for (let chainAt = at + A.chain; chainAt < at + A.identity; chainAt += C.words) {
    words[chainAt + C.head] = 0;
    words[chainAt + C.tail] = 0;
    words[chainAt + C.depth] = 0;
    // Nor is the sequence: it counts on.
    words[chainAt + C.taken] = words[chainAt + C.sequence] as number;
  }
  words.fill(0, at + A.identity, at + SLOT_BYTES / 4);
  words[at + A.idHash] = hashOf(id);
  const text = encoder.encode(id);
  assert(text.length <= limits.agentIdChars, "an agent id was validated at the edge");
  const idAt = SLOTS_BYTE + slot * SLOT_BYTES + SLOT_ID_BYTE;
  bytes[idAt] = text.length;
  bytes.set(text, idAt + 1);
  sealIdentity(shard, slot, at);
  sealStanding(words, at);
  sealChain(words, at, 0);
  sealChain(words, at, 1);
}

export const depthOf = (shard: Shard, slot: number, chain: ChainNumber): number =>
  Atomics.load(shard.index.words, chainWord(slot, chain) + C.depth);
