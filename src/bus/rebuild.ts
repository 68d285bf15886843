/**
 * Rebuilding a shard's index from its records: after the death of a process in the middle of a change, and after damage.
 * Under the shard's lock, `dirty` set; a death in here is followed by another rebuild from the same records.
 *
 * What is trusted: commit words, checksums, `taken` marks, and which agent sits in which slot. Everything else (chains,
 * depths, counts, the segment table, the tail) is made anew. Per segment: an empty commit word ends it; a record in progress
 * is the dead writer's and is erased, its commit word last; a committed record that fails its checksum ends what can be
 * read of that segment, which is then appended to no more. Per inbox: the unread records by inbox sequence; of two with
 * the same one (a move that died half-way) the later is dropped.
 */
import { renameFile, unlinkFile } from "../os/file.ts";
import { E } from "../os/libc.ts";
import { listDirectory } from "../os/tree.ts";
import {
  A,
  C,
  type ChainNumber,
  FLAG_BLOB,
  H,
  LAYOUT,
  MAGIC_SEGMENT,
  positionOf,
  R,
  S,
  SEGMENT_HEADER_BYTES,
  SLOT_FREE,
  TABLE_ENTRIES,
  TABLE_WORD,
} from "./layout.ts";
import { findPair, recordSequence, recountPairs, reservePair } from "./pairs.ts";
import { inspect, isTaken, lengthOf, linkNext, markTaken, type RecordHeader, readHeader } from "./record.ts";
import { entryWord, mapSegment, type Place, placeOf, recycledPath, retire, segmentPath } from "./segments.ts";
import { fail, type Shard } from "./shard.ts";
import { chainWord, slotState, slotsUsed, slotWord } from "./slots.ts";

interface Unread {
  readonly header: RecordHeader;
  readonly position: number;
  readonly place: Place;
}

export function rebuildShard(shard: Shard): void {
  const words = shard.index.words;
  const numbers = adoptSegments(shard);
  clearChains(shard);
  const unread: Unread[] = [];
  let tail = 0;
  words[H.blobBytes] = 0;
  for (const [entry, number] of numbers) {
    const broken = scan(shard, entry, unread);
    if (broken) words[H.damaged] = (words[H.damaged] as number) + 1;
    else tail = entry + 1; // Ascending numbers: the last sound one stays.
    words[H.nextNumber] = Math.max(words[H.nextNumber] as number, number + 1);
  }
  words[H.tail] = tail;
  relink(shard, unread);
  for (const [entry] of numbers) {
    if (words[entryWord(entry) + S.live] === 0 && tail !== entry + 1) retire(shard, entry);
  }
  recountPairs(shard);
  words[H.repairs] = (words[H.repairs] as number) + 1;
}

/** Maps every segment file and makes the table say so. Entries with their segment numbers, oldest first. */
function adoptSegments(shard: Shard): [number, number][] {
  const words = shard.index.words;
  const names = listDirectory(shard.dir);
  // It is never empty: this process is short of descriptors, and must not take that for an empty bus.
  if (names.length === 0) fail(`list ${shard.dir}`, E.MFILE);
  for (const segment of shard.segments.values()) segment.mapping.unmap();
  shard.segments.clear();
  shard.recycled?.mapping.unmap();
  shard.recycled = undefined;
  unlinkFile(recycledPath(shard));
  words[H.recycled] = 0;
  words.fill(0, TABLE_WORD, TABLE_WORD + TABLE_ENTRIES * S.words);
  const numbers = names
    .map((name) => /^segment-(\d{1,10})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
  const adopted: [number, number][] = [];
  for (const number of numbers) {
    const entry = adopted.length;
    if (entry === TABLE_ENTRIES) break;
    const segment = mapSegment(shard, entry, number);
    const header = segment?.mapping.words;
    if (segment === undefined || header?.[0] !== MAGIC_SEGMENT || header[1] !== LAYOUT || header[2] !== number) {
      // A death while the header was written leaves part of it, and nothing behind it.
      discard(shard, number, header?.subarray(SEGMENT_HEADER_BYTES / 4).some((word) => word !== 0) === true);
      segment?.mapping.unmap();
      shard.segments.delete(entry);
      continue;
    }
    words[entryWord(entry) + S.number] = number;
    words[entryWord(entry) + S.used] = SEGMENT_HEADER_BYTES;
    adopted.push([entry, number]);
  }
  words[H.segments] = adopted.length;
  return adopted;
}

/** An empty one's maker died before any record could be in it; one that holds something unreadable is kept for a person. */
function discard(shard: Shard, number: number, holds: boolean): void {
  const path = segmentPath(shard, number);
  if (!holds) unlinkFile(path);
  else if (renameFile(path, `${shard.dir}/damaged-${number}`) === 0) {
    shard.index.words[H.damaged] = (shard.index.words[H.damaged] as number) + 1;
  }
}

function clearChains(shard: Shard): void {
  const words = shard.index.words;
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    words[slotWord(slot) + A.bytes] = 0;
    for (const chain of [0, 1] as const) {
      const at = chainWord(slot, chain);
      words[at + C.head] = 0;
      words[at + C.tail] = 0;
      Atomics.store(words, at + C.depth, 0);
    }
  }
}

/** Reads one segment to its end; collects what is unread. True if it is damaged. */
function scan(shard: Shard, entry: number, unread: Unread[]): boolean {
  const words = shard.index.words;
  const usedAt = entryWord(entry) + S.used;
  for (let at = SEGMENT_HEADER_BYTES; at < shard.segmentBytes; ) {
    const position = positionOf(entry, at);
    const place = placeOf(shard, position);
    if (place === undefined) return true;
    const found = inspect(place, shard.segmentBytes);
    if (found === "broken") {
      words[usedAt] = shard.segmentBytes;
      return true;
    }
    if (found !== "whole") {
      if (found === "in_progress") erase(place);
      break;
    }
    const length = lengthOf(place);
    at += length;
    words[usedAt] = at;
    const header = readHeader(place);
    const { slot } = header;
    if (slot >= slotsUsed(shard) || slotState(shard, slot) === SLOT_FREE) continue;
    if (words[slotWord(slot) + A.generation] !== header.generation) continue;
    const key = { low: header.keyLow, high: header.keyHigh };
    const known = findPair(shard, key);
    const pair = known === undefined ? undefined : reservePair(shard, known, key);
    if (pair !== undefined) recordSequence(shard, pair, key, slot, header.senderSequence);
    const sequenceAt = chainWord(slot, header.chain) + C.sequence;
    if (isLater(header.inboxSequence, words[sequenceAt] as number)) words[sequenceAt] = header.inboxSequence;
    if (!isTaken(place)) unread.push({ header, position, place });
  }
  return false;
}

/** Inbox sequences are 32-bit and wrap: later means ahead by less than half the circle. */
const isLater = (a: number, b: number): boolean => ((a - b) | 0) > 0;

/** Zeros, the commit word last: until then the record is still in progress for whoever comes next. */
function erase(place: Place): void {
  const length = lengthOf(place);
  place.words.fill(0, place.word + R.crc, place.word + length / 4);
  Atomics.store(place.words, place.word + R.commit, 0);
}

function relink(shard: Shard, unread: Unread[]): void {
  const words = shard.index.words;
  const chainOf = (one: Unread): number => one.header.slot * 2 + one.header.chain;
  unread.sort((a, b) => chainOf(a) - chainOf(b) || (a.header.inboxSequence - b.header.inboxSequence) | 0);
  let previous: Unread | undefined;
  for (const one of unread) {
    const { slot, chain, inboxSequence, charge, flags } = one.header;
    const follows = previous !== undefined && chainOf(previous) === chainOf(one);
    if (follows && previous?.header.inboxSequence === inboxSequence) {
      markTaken(one.place);
      continue;
    }
    const at = chainWord(slot, chain as ChainNumber);
    linkNext(one.place, 0);
    if (follows && previous !== undefined) linkNext(previous.place, one.position);
    else words[at + C.head] = one.position;
    words[at + C.tail] = one.position;
    Atomics.add(words, at + C.depth, 1);
    if (chain === 0) words[slotWord(slot) + A.bytes] = (words[slotWord(slot) + A.bytes] as number) + charge;
    if ((flags & FLAG_BLOB) !== 0) words[H.blobBytes] = (words[H.blobBytes] as number) + charge;
    const entryAt = entryWord(one.place.entry);
    words[entryAt + S.live] = (words[entryAt + S.live] as number) + 1;
    words[entryAt + S.liveBytes] = (words[entryAt + S.liveBytes] as number) + lengthOf(one.place);
    previous = one;
  }
}
