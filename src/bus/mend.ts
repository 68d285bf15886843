/**
 * Making the segments of a shard whole again: afterwards each is a row of whole records and then zeros.
 *
 * What a death leaves is put in order without a word: a record in progress is committed if it is complete, else erased. Any
 * other bytes that are no whole record are damage: they are kept for a person (`quarantine.ts`), and a record of nobody takes
 * their place. Where the next record begins is not asked of the damaged one, whose length may lie: it is looked for at each
 * 8-byte step. A body cannot be taken for a record, because bodies are JSON text in UTF-8, which has no zero byte, and every
 * record's header has some (its commit word is below 2^24).
 */
import { readBytes, statPath, unlinkFile } from "../os/file.ts";
import { H, R, RECORD_HEADER_BYTES, S, SEGMENT_HEADER_BYTES, TABLE_ENTRIES, TABLE_WORD } from "./layout.ts";
import { keep, keepFile } from "./quarantine.ts";
import { erase, fillGap, inspect, isTaken, lengthOf, rollForward } from "./record.ts";
import {
  entryWord,
  isSegmentOf,
  listSegment,
  mapSegment,
  type Place,
  recycledPath,
  segmentPath,
  writeSegmentHeader,
} from "./segments.ts";
import { filesOf, type Segment, type Shard } from "./shard.ts";

export interface Adopted {
  readonly entry: number;
  readonly number: number;
  readonly segment: Segment;
}

/**
 * Maps every segment file, mends it and lists it in the table; oldest first, and how many places were damaged.
 *
 * @throws CfnError try_again or unavailable, where a segment is there and cannot be mapped now.
 */
export function adoptSegments(shard: Shard): { readonly adopted: Adopted[]; readonly damaged: number } {
  const words = shard.index.words;
  const names = filesOf(shard);
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
  const adopted: Adopted[] = [];
  let damaged = 0;
  for (const number of numbers) {
    const entry = adopted.length;
    if (entry === TABLE_ENTRIES) break;
    const segment = mapSegment(shard, entry, number);
    if (segment === undefined) {
      if (removeUnsized(shard, number)) damaged++;
      continue;
    }
    const fate = beginning(shard, segment);
    if (fate === "broken") damaged++;
    if (fate === "empty" || fate === "retired") {
      // Its maker died before any record was in it; or zeros have hit the beginning of one that had nothing unread.
      segment.mapping.unmap();
      shard.segments.delete(entry);
      unlinkFile(segmentPath(shard, number));
      continue;
    }
    writeSegmentHeader(segment.mapping.words, number, entry);
    listSegment(shard, entry, number);
    damaged += mendRecords(shard, entry, segment);
    adopted.push({ entry, number, segment });
  }
  words[H.segments] = adopted.length;
  return { adopted, damaged };
}

/** A file that was never reserved whole has no record; one that was cut is kept for a person, and then it is true. */
function removeUnsized(shard: Shard, number: number): boolean {
  const path = segmentPath(shard, number);
  // One that cannot be read now may hold something.
  const holds = (statPath(path)?.bytes ?? 0) > 0 && readBytes(path)?.every((byte) => byte === 0) !== true;
  if (holds) keepFile(shard, `segment-${number}`, path);
  else unlinkFile(path);
  return holds;
}

/** How a segment file begins. Bytes of a broken header are kept. */
function beginning(shard: Shard, { number, mapping }: Segment): "sound" | "broken" | "retired" | "empty" {
  const { words, bytes } = mapping;
  if (isSegmentOf(words, number)) return "sound";
  if (isZero(words, SEGMENT_HEADER_BYTES)) return "empty";
  // Zeros in the header's place are no loss where nothing in it is unread.
  if (words.subarray(0, SEGMENT_HEADER_BYTES / 4).every((word) => word === 0) && !holdsUnread(shard, mapping))
    return "retired";
  keep(shard, `segment-${number}-at-0`, bytes.subarray(0, SEGMENT_HEADER_BYTES));
  return "broken";
}

function holdsUnread(shard: Shard, mapping: Segment["mapping"]): boolean {
  for (let at = nextWhole(shard, mapping, SEGMENT_HEADER_BYTES); at >= 0; ) {
    const place = placeAt(mapping, 0, at);
    if (!isTaken(place)) return true;
    at = nextWhole(shard, mapping, at + lengthOf(place));
  }
  return false;
}

const placeAt = ({ words, bytes }: Segment["mapping"], entry: number, at: number): Place => ({
  words,
  bytes,
  at,
  word: at >>> 2,
  entry,
});

/** Where the first whole record at or behind `from` begins; -1 if there is none. */
function nextWhole(shard: Shard, mapping: Segment["mapping"], from: number): number {
  const { words } = mapping;
  for (let at = from; at + RECORD_HEADER_BYTES <= shard.segmentBytes; at += 8) {
    if (words[(at >>> 2) + R.commit] !== 0 && inspect(placeAt(mapping, 0, at), shard.segmentBytes) === "whole")
      return at;
  }
  return -1;
}

/** Whether there is nothing from byte `from` on. */
function isZero(words: Uint32Array, from: number): boolean {
  for (let word = from >>> 2; word < words.length; word++) if (words[word] !== 0) return false;
  return true;
}

/** Mends one segment from front to end, and notes how far it is used. How many places in it were damaged. */
function mendRecords(shard: Shard, entry: number, { number, mapping }: Segment): number {
  const { words, bytes } = mapping;
  let damaged = 0;
  let at = SEGMENT_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= shard.segmentBytes) {
    const place = placeAt(mapping, entry, at);
    const found = inspect(place, shard.segmentBytes);
    if (found === "whole" || rollForward(place, shard.segmentBytes)) {
      at += lengthOf(place);
      continue;
    }
    const next = nextWhole(shard, mapping, at + RECORD_HEADER_BYTES);
    if (next >= 0) {
      keep(shard, `segment-${number}-at-${at}`, bytes.subarray(at, next));
      fillGap(place, next - at);
      damaged++;
      at = next;
      continue;
    }
    if (found === "nothing" && isZero(words, at)) break;
    if (found === "in_progress" && isZero(words, at + lengthOf(place))) {
      erase(place);
      break;
    }
    keep(shard, `segment-${number}-at-${at}`, bytes.subarray(at));
    damaged++;
    words.fill(0, at >>> 2);
    break;
  }
  shard.index.words[entryWord(entry) + S.used] = at;
  return damaged;
}
