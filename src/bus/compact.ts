/**
 * Moving forward: a message that nobody reads would pin its segment for ever, so what little is unread in an old segment is
 * copied to the tail and the segment given back. Under the shard's lock, between `dirty` and `clean`.
 *
 * A copy keeps its inbox sequence number. Until the original is marked taken both exist; a rebuild that finds both keeps one.
 */
import { A, C, entryOf, H, positionOf, R, recordBytes, S, SEGMENT_HEADER_BYTES, TABLE_ENTRIES } from "./layout.ts";
import {
  addRecord,
  bodyOf,
  bodySum,
  closeTail,
  copyAttempts,
  inspect,
  isOfChain,
  isTaken,
  lengthOf,
  linkNext,
  markTaken,
  nextOf,
  openTail,
  type RecordHeader,
  readHeader,
  tailRoom,
  wholeLength,
} from "./record.ts";
import { isChainSealed, isEntrySealed, sealChain } from "./seals.ts";
import { countLive, entryWord, type Place, placeOf, rotate } from "./segments.ts";
import { type Shard, suspect } from "./shard.ts";
import { chainWord, isTenanted, slotsUsed, slotWord } from "./slots.ts";

/** A segment is worth moving when at most this share of it is unread. */
const SPARSE = 0.25;
/** Rotations look for sparse segments once a shard has this many. */
const MANY = 6;

interface Candidate {
  readonly entry: number;
  readonly liveBytes: number;
}

/** The segment with the least to move; never the tail. */
function sparsest(shard: Shard): Candidate | undefined {
  const words = shard.index.words;
  let best: Candidate | undefined;
  for (let entry = 0; entry < TABLE_ENTRIES; entry++) {
    const at = entryWord(entry);
    if (words[at + S.number] === 0 || words[H.tail] === entry + 1 || !isEntrySealed(words, at)) continue;
    const liveBytes = words[at + S.liveBytes] as number;
    if (best === undefined || liveBytes < best.liveBytes) best = { entry, liveBytes };
  }
  return best;
}

/** After a rotation: one sparse segment, if there are many. Keeps the memory of a bus with idle inboxes flat. */
export function compactSome(shard: Shard): void {
  if ((shard.index.words[H.segments] as number) < MANY) return;
  const found = sparsest(shard);
  if (found !== undefined && found.liveBytes <= shard.segmentBytes * SPARSE && tailRoom(shard) >= found.liveBytes)
    move(shard, found.entry);
}

/** At the bound: as many as help. True if a segment was given back. */
export function compact(shard: Shard): boolean {
  const words = shard.index.words;
  const before = words[H.segments] as number;
  for (let round = 0; round < TABLE_ENTRIES && (words[H.segments] as number) >= before; round++) {
    const found = sparsest(shard);
    if (found === undefined || found.liveBytes > shard.segmentBytes / 2) break;
    if (tailRoom(shard) < found.liveBytes && !rotate(shard, true)) break;
    if (!move(shard, found.entry)) break;
  }
  return (words[H.segments] as number) < before;
}

/** Copies what is unread in a segment to the tail, which has room for it, and retires the segment. */
function move(shard: Shard, entry: number): boolean {
  const words = shard.index.words;
  const number = entryWord(entry) + S.number;
  const used = words[entryWord(entry) + S.used] as number;
  const copies: Copies = new Map();
  // The last record moved retires the segment under our feet: hence the look at its number.
  for (let at = SEGMENT_HEADER_BYTES; at < used && words[number] !== 0; ) {
    const position = positionOf(entry, at);
    const place = placeOf(shard, position);
    if (place === undefined || inspect(place, shard.segmentBytes) !== "whole") {
      suspect(shard);
      return false;
    }
    at += lengthOf(place);
    if (!isTaken(place)) moveRecord(shard, position, copies);
  }
  return words[number] === 0;
}

/** The last copy made of each chain, by the inbox word of its records. */
type Copies = Map<number, Place>;

function moveRecord(shard: Shard, position: number, copies: Copies): void {
  const old = placeOf(shard, position);
  if (old === undefined) return;
  const header = readHeader(old);
  const bytes = recordBytes(old.words[old.word + R.bodyBytes] as number);
  const words = shard.index.words;
  const { slot, chain } = header;
  const mine =
    slot < slotsUsed(shard) && isTenanted(shard, slot) && words[slotWord(slot) + A.generation] === header.generation;
  if (!mine || tailRoom(shard) < bytes) return;
  const chainAt = chainWord(slot, chain);
  const isHead = words[chainAt + C.head] === position;
  const sealed = isChainSealed(words, slotWord(slot), chain);
  // Neighbours in an inbox mostly lie one behind the other: to walk the whole chain for each would take a full one's length squared.
  const last = copies.get(old.words[old.word + R.inbox] as number);
  const follows = last !== undefined && nextOf(last) === position;
  const before = isHead || !sealed ? undefined : follows ? last : leadingTo(shard, header, position);
  if (!sealed || (before === undefined && !isHead)) {
    suspect(shard);
    return;
  }
  globalThis.crashPoint?.("move.begun");
  const tail = openTail(shard);
  if (tail === undefined) {
    suspect(shard);
    return;
  }
  const moved = positionOf(tail.entry, tail.used);
  const body = bodyOf(old);
  addRecord(tail, header, body, bodySum(body));
  closeTail(shard, tail, 1, bytes);
  globalThis.crashPoint?.("move.counted");
  const copy = placeOf(shard, moved) as Place;
  copyAttempts(old, copy);
  linkNext(copy, nextOf(old));
  copies.set(old.words[old.word + R.inbox] as number, copy);
  globalThis.crashPoint?.("move.copied");

  if (before === undefined) words[chainAt + C.head] = moved;
  else linkNext(before, moved);
  if (words[chainAt + C.tail] === position) words[chainAt + C.tail] = moved;
  globalThis.crashPoint?.("move.relinked");
  sealChain(words, slotWord(slot), chain);
  markTaken(old);
  globalThis.crashPoint?.("move.marked");
  countLive(shard, entryOf(position), -1, -bytes);
}

/** The record of this one's chain that leads to it; undefined if none does, which only damage makes. */
function leadingTo(shard: Shard, { slot, chain, generation }: RecordHeader, to: number): Place | undefined {
  const { words } = shard.index;
  const chainAt = chainWord(slot, chain);
  let position = words[chainAt + C.head] as number;
  for (let left = words[chainAt + C.depth] as number; left > 0; left--) {
    const place = placeOf(shard, position);
    if (place === undefined || wholeLength(place.words, place.at, shard.segmentBytes) === 0) return undefined;
    if (!isOfChain(place.words, place.word, slot, chain, generation)) return undefined;
    const next = nextOf(place);
    if (next === to) return place;
    position = next;
  }
  return undefined;
}
