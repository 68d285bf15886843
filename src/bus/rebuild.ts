/**
 * Rebuilding a shard's index from its records: after the death of a process in the middle of a change (`dirty` is CHANGING),
 * and after damage (it is anything else). Under the shard's lock; a death in here is followed by another rebuild from the
 * same records.
 *
 * What is trusted: records that pass their checksum, and which agent sits in which slot, as far as that is sealed
 * (`tenants.ts`). Everything else (chains, depths, counts, the segment table, the tail) is made anew. First each segment is
 * made a row of whole records (`mend.ts`). Per inbox: the unread records by inbox sequence; of two with the same one (a move
 * that died half-way) the later is dropped.
 *
 * What has been taken is what its record says; and, where the chain's seal holds, what the chain says: up to `taken` in any
 * case, and beyond it nothing, unless a death may have come between the marks on the records and that word.
 */

import { fileSize } from "../os/file.ts";
import { countFaults, isIdentitySound } from "./audit.ts";
import { A, C, CHANGING, FLAG_BLOB, H, LAYOUT, MAGIC_INDEX, S, SLOT_BYTES, SLOTS_BYTE } from "./layout.ts";
import { type Adopted, adoptSegments } from "./mend.ts";
import { findPair, mendPairs, recordSequence, reservePair } from "./pairs.ts";
import { countKept, keep, largestNumber } from "./quarantine.ts";
import { isLater, isTaken, lengthOf, linkNext, markLoss, markTaken, markUnread, type RecordHeader } from "./record.ts";
import { isChainSealed, isHeaderSealed, sealChain, sealEntry, sealHeader } from "./seals.ts";
import { entryWord, type Place, retire } from "./segments.ts";
import { refreshIndex, type Shard } from "./shard.ts";
import { chainWord, isTenanted, slotsUsed, slotWord } from "./slots.ts";
import { eachRecord, mendSlots, settleStates } from "./tenants.ts";

interface Unread {
  readonly header: RecordHeader;
  readonly position: number;
  readonly place: Place;
}

export function rebuildShard(shard: Shard): void {
  globalThis.crashPoint?.("rebuild.begun");
  const died = Atomics.load(shard.index.words, H.dirty) === CHANGING;
  const headerFaults = mendHeader(shard, died);
  const words = shard.index.words;
  const faults = died ? 0 : headerFaults + countFaults(shard);
  if (faults > 0) keep(shard, "index", shard.index.bytes);
  const segments = adoptSegments(shard);
  globalThis.crashPoint?.("rebuild.adopted");
  if (headerFaults > 0) countNamedSlots(shard, segments.adopted);
  let damaged = faults + segments.damaged + mendPairs(shard, died);
  globalThis.crashPoint?.("rebuild.pairs_mended");
  const unsettled = mendSlots(shard, segments.adopted, died);
  globalThis.crashPoint?.("rebuild.slots_mended");
  const chains = readChains(shard, died);
  globalThis.crashPoint?.("rebuild.cleared");
  const unread = collect(shard, segments.adopted, chains, died);
  globalThis.crashPoint?.("rebuild.scanned");
  relink(shard, unread);
  globalThis.crashPoint?.("rebuild.relinked");
  settleStates(shard, unsettled);
  globalThis.crashPoint?.("rebuild.settled");
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    for (const chain of [0, 1] as const) {
      const at = chainWord(slot, chain);
      // Where nothing is unread everything is taken. Not before this is known: a death on the way leaves this word to the next.
      if (words[at + C.depth] === 0) words[at + C.taken] = words[at + C.sequence] as number;
      sealChain(words, slotWord(slot), chain);
    }
  }
  for (const { entry } of segments.adopted) sealEntry(words, entryWord(entry));
  words[H.tail] =
    segments.adopted.length === 0 ? 0 : (segments.adopted[segments.adopted.length - 1] as Adopted).entry + 1;
  if (!died) damaged = Math.max(1, damaged);
  words[H.damaged] = (words[H.damaged] as number) + damaged;
  words[H.repairs] = (words[H.repairs] as number) + 1;
  sealHeader(words);
  globalThis.crashPoint?.("rebuild.sealed");
  for (const { entry } of segments.adopted)
    if (words[entryWord(entry) + S.live] === 0 && words[H.tail] !== entry + 1) retire(shard, entry);
}

/** Segments made since the last one of which a file is left, at the most: their numbers are not given again. */
const NUMBERS_SKIPPED = 1000;

/** Makes the header's words possible ones; their true values follow. 1 if the header was damaged. */
function mendHeader(shard: Shard, died: boolean): number {
  let words = shard.index.words;
  const sound = died || isHeaderSealed(words);
  words[H.magic] = MAGIC_INDEX;
  words[H.layout] = LAYOUT;
  const capacity = Math.floor((fileSize(shard.indexFd) - SLOTS_BYTE) / SLOT_BYTES);
  Atomics.store(words, H.slotCapacity, capacity);
  refreshIndex(shard);
  words = shard.index.words;
  const last = largestNumber(shard);
  if (sound) {
    words[H.nextNumber] = Math.max(words[H.nextNumber] as number, last + 1);
    return 0;
  }
  // A number given twice would be taken for the mapped segment of before by processes that still have that.
  words[H.nextNumber] = last + 1 + NUMBERS_SKIPPED;
  Atomics.store(words, H.slotsUsed, countSlots(shard, capacity));
  words[H.damaged] = countKept(shard);
  words[H.repairs] = 0;
  return 1;
}

/** How many slots are in use, by what they hold: up to the last sealed one, or to what the header says, if that may be. */
function countSlots(shard: Shard, capacity: number): number {
  const { words } = shard.index;
  let sealed = capacity;
  while (sealed > 0 && !isIdentitySound(shard, sealed - 1)) sealed--;
  const said = words[H.slotsUsed] as number;
  const holds = (slot: number): boolean =>
    words.subarray(slotWord(slot), slotWord(slot + 1)).some((word) => word !== 0);
  return said > sealed && said <= capacity && holds(said - 1) ? said : sealed;
}

/** As many slots as records name are in use, whatever they hold. */
function countNamedSlots(shard: Shard, segments: readonly Adopted[]): void {
  const { words } = shard.index;
  eachRecord(shard, segments, (_, { slot }) => {
    if (slot < (words[H.slotCapacity] as number) && slot >= (words[H.slotsUsed] as number))
      Atomics.store(words, H.slotsUsed, slot + 1);
  });
}

/** What a chain said before it was cleared, where that can be believed. */
interface Before {
  readonly sequence: number;
  readonly taken: number;
}

/** Clears all chains; what they said, by word. */
function readChains(shard: Shard, died: boolean): Map<number, Before> {
  const words = shard.index.words;
  const said = new Map<number, Before>();
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    const sealed = [isChainSealed(words, slotWord(slot), 0), isChainSealed(words, slotWord(slot), 1)] as const;
    words[slotWord(slot) + A.bytes] = 0;
    for (const chain of [0, 1] as const) {
      const at = chainWord(slot, chain);
      const before = { sequence: words[at + C.sequence] as number, taken: words[at + C.taken] as number };
      if (died || sealed[chain]) said.set(at, before);
      words[at + C.head] = 0;
      words[at + C.tail] = 0;
      Atomics.store(words, at + C.depth, 0);
      words[at + C.sequence] = said.get(at)?.sequence ?? 0;
    }
  }
  return said;
}

/** What is unread; raises the numbers of inboxes and pairs to those of the records on the way. */
function collect(
  shard: Shard,
  segments: readonly Adopted[],
  chains: ReadonlyMap<number, Before>,
  died: boolean,
): Unread[] {
  const words = shard.index.words;
  const unread: Unread[] = [];
  words[H.blobBytes] = 0;
  eachRecord(shard, segments, (place, header, position) => {
    const { slot, inboxSequence } = header;
    if (slot >= slotsUsed(shard) || !isTenanted(shard, slot)) return;
    if (words[slotWord(slot) + A.generation] !== header.generation) return;
    const key = { low: header.keyLow, high: header.keyHigh };
    const known = findPair(shard, key);
    const pair = known === undefined || known < -1 ? undefined : reservePair(shard, known, key);
    if (pair !== undefined && pair >= 0) recordSequence(shard, pair, key, slot, header.senderSequence);
    const at = chainWord(slot, header.chain);
    if (!chains.has(at) && words[at + C.sequence] === 0) words[at + C.sequence] = inboxSequence;
    if (isLater(inboxSequence, words[at + C.sequence] as number)) words[at + C.sequence] = inboxSequence;
    const before = chains.get(at);
    const passed = before !== undefined && !isLater(inboxSequence, before.taken);
    const taken = before === undefined || died ? isTaken(place) || passed : passed;
    if (!taken) unread.push({ header, position, place });
    else if (!isTaken(place)) markTaken(place);
  });
  return unread;
}

/** Links what is unread, inbox by inbox, and counts it. */
function relink(shard: Shard, unread: Unread[]): void {
  const words = shard.index.words;
  const chainOf = (one: Unread): number => one.header.slot * 2 + one.header.chain;
  unread.sort((a, b) => chainOf(a) - chainOf(b) || (a.header.inboxSequence - b.header.inboxSequence) | 0);
  let previous: Unread | undefined;
  const linked = new Set<number>();
  for (const one of unread) {
    const { slot, chain, inboxSequence, charge, flags } = one.header;
    const follows = previous !== undefined && chainOf(previous) === chainOf(one);
    const before = previous?.header.inboxSequence as number;
    if (follows && before === inboxSequence) {
      markTaken(one.place);
      continue;
    }
    const at = chainWord(slot, chain);
    markUnread(one.place);
    markLoss(one.place, follows && inboxSequence !== (before + 1) >>> 0);
    linkNext(one.place, 0);
    if (follows && previous !== undefined) linkNext(previous.place, one.position);
    else {
      words[at + C.head] = one.position;
      words[at + C.taken] = inboxSequence - 1;
      linked.add(at);
    }
    words[at + C.tail] = one.position;
    Atomics.add(words, at + C.depth, 1);
    if (chain === 0) words[slotWord(slot) + A.bytes] = (words[slotWord(slot) + A.bytes] as number) + charge;
    if ((flags & FLAG_BLOB) !== 0) words[H.blobBytes] = (words[H.blobBytes] as number) + charge;
    const entryAt = entryWord(one.place.entry);
    words[entryAt + S.live] = (words[entryAt + S.live] as number) + 1;
    words[entryAt + S.liveBytes] = (words[entryAt + S.liveBytes] as number) + lengthOf(one.place);
    previous = one;
    globalThis.crashPoint?.("rebuild.linking");
  }
  // Where nothing is unread everything is taken. Said of no other chain, not for a moment: the next rebuild believes it.
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    for (const chain of [0, 1] as const) {
      const at = chainWord(slot, chain);
      if (!linked.has(at)) words[at + C.taken] = words[at + C.sequence] as number;
    }
  }
}
