/**
 * Segments: the append-only files that records live in. All under the shard's lock.
 *
 * A segment is reserved whole (`fallocate`) before it is mapped. It is retired once nothing in it is unread: one retired
 * segment is kept, zeroed, as `recycled` to become the next one, since making a segment costs as much as filling a tenth
 * of it; the others are unlinked. One more is kept reserved as `spare`: only control messages and the moving of records may use it up, so that a flood of data
 * cannot keep a `stop` from getting through.
 */
import { assert } from "../assert.ts";
import { isPassing } from "../errors.ts";
import { allocateFile, closeFile, fileSize, O, openFile, renameFile, statPath, unlinkFile } from "../os/file.ts";
import { E } from "../os/libc.ts";
import { mapFile } from "../os/mapping.ts";
import {
  entryOf,
  H,
  LAYOUT,
  MAGIC_SEGMENT,
  offsetOf,
  S,
  SEGMENT_HEADER_BYTES,
  TABLE_ENTRIES,
  TABLE_WORD,
} from "./layout.ts";
import { isEntrySealed, sealEntry, setHeader } from "./seals.ts";
import { fail, type Segment, type Shard, suspect } from "./shard.ts";

export const entryWord = (entry: number): number => TABLE_WORD + entry * S.words;
export const segmentPath = (shard: Shard, number: number): string => `${shard.dir}/segment-${number}`;
const sparePath = (shard: Shard): string => `${shard.dir}/spare`;
export const recycledPath = (shard: Shard): string => `${shard.dir}/recycled`;

/**
 * The mapped segment of a table entry; undefined if its file is gone or is no whole segment. Throws try_again or unavailable
 * where this process cannot open or map it: that says nothing about what it holds.
 */
export function segmentAt(shard: Shard, entry: number): Segment | undefined {
  const number = shard.index.words[entryWord(entry) + S.number] as number;
  const known = shard.segments.get(entry);
  if (known !== undefined) {
    if (known.number === number) return known;
    known.mapping.unmap();
    shard.segments.delete(entry);
  }
  const segment = number === 0 ? undefined : mapSegment(shard, entry, number);
  if (segment === undefined || isSegmentOf(segment.mapping.words, number)) return segment;
  // Another file than the one that the table meant, or one whose beginning was overwritten.
  segment.mapping.unmap();
  shard.segments.delete(entry);
  return undefined;
}

/** Whether a segment file begins as the one of this number does. */
export const isSegmentOf = (words: Uint32Array, number: number): boolean =>
  words[0] === MAGIC_SEGMENT && words[1] === LAYOUT && words[2] === number;

export function writeSegmentHeader(words: Uint32Array, number: number, entry: number): void {
  words[0] = MAGIC_SEGMENT;
  words[1] = LAYOUT;
  words[2] = number;
  words[3] = entry;
}

export function mapSegment(shard: Shard, entry: number, number: number, whole = false): Segment | undefined {
  const path = segmentPath(shard, number);
  const fd = openFile(path, O.RDWR);
  if (fd === -E.NOENT) return undefined;
  if (fd < 0) fail(`open ${path}`, -fd);
  // Its maker may have died before it was reserved: touching what it does not have would be SIGBUS.
  const isWhole = fileSize(fd) === shard.segmentBytes;
  const mapping = isWhole ? mapFile(fd, shard.segmentBytes, whole) : undefined;
  closeFile(fd);
  if (!isWhole) return undefined;
  if (mapping === undefined) fail(`map ${path}`, E.NOMEM);
  const segment = { number, mapping };
  shard.segments.set(entry, segment);
  return segment;
}

export interface Place {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  /** Byte offset of the record in its segment, and word offset. */
  readonly at: number;
  readonly word: number;
  readonly entry: number;
}

/** Where a position lies; undefined if it leads nowhere, which only a damaged index does. */
export function placeOf(shard: Shard, position: number): Place | undefined {
  const entry = entryOf(position);
  const at = offsetOf(position);
  if (entry < 0 || entry >= TABLE_ENTRIES || at < SEGMENT_HEADER_BYTES || at >= shard.segmentBytes) return undefined;
  const segment = segmentAt(shard, entry);
  return segment && { words: segment.mapping.words, bytes: segment.mapping.bytes, at, word: at >>> 2, entry };
}

/** Reserves a segment-sized file at `path`. 0 or a negated error number; nothing is left where it failed. */
function reserve(shard: Shard, path: string): number {
  const fd = openFile(path, O.RDWR | O.CREAT | O.EXCL);
  if (fd < 0) return fd;
  globalThis.crashPoint?.("reserve.created");
  const allocated = allocateFile(fd, shard.segmentBytes);
  closeFile(fd);
  if (allocated < 0) unlinkFile(path);
  globalThis.crashPoint?.("reserve.allocated");
  return allocated;
}

/** What segments and blobs of the shard occupy, with `moreSegments` added: bytes. */
const occupied = (shard: Shard, moreSegments: number): number =>
  ((shard.index.words[H.segments] as number) + moreSegments + (shard.index.words[H.recycled] === 0 ? 0 : 1)) *
    shard.segmentBytes +
  (shard.index.words[H.blobBytes] as number);

export const blobFits = (shard: Shard, bytes: number): boolean => occupied(shard, 1) + bytes <= shard.bytesMost;

/**
 * Opens a new tail segment. `reserved` may use the spare one; others leave it. Between `dirty` and `clean`.
 *
 * @returns false where the shard is at its bound, or the file system or this process's own memory or descriptors are full: nothing
 * has changed then.
 */
export function rotate(shard: Shard, reserved: boolean): boolean {
  const words = shard.index.words;
  // The spare counts as one of the bound's segments from the start.
  const recycles = words[H.recycled] !== 0;
  if (!reserved && occupied(shard, recycles ? 1 : 2) > shard.bytesMost) return false;
  globalThis.crashPoint?.("rotate.begun");
  let entry = 0;
  while (entry < TABLE_ENTRIES && words[entryWord(entry) + S.number] !== 0) entry++;
  if (entry === TABLE_ENTRIES) return false;

  const number = words[H.nextNumber] as number;
  const path = segmentPath(shard, number);
  const spare = sparePath(shard);
  if (statPath(spare)?.bytes !== shard.segmentBytes) {
    unlinkFile(spare);
    if (reserve(shard, spare) < 0 && !reserved) return false;
    globalThis.crashPoint?.("rotate.spare_made");
  }
  let made = recycles ? renameFile(recycledPath(shard), path) : reserve(shard, path);
  if (recycles && made < 0) made = reserve(shard, path);
  if (made === -E.EXIST) {
    unlinkFile(path);
    made = reserve(shard, path);
  }
  if (made < 0 && reserved) made = renameFile(spare, path);
  if (made < 0) return false;

  globalThis.crashPoint?.("rotate.made");
  setHeader(words, H.nextNumber, number + 1);
  globalThis.crashPoint?.("rotate.counted");
  const segment = adoptRecycled(shard, entry, number) ?? mapNew(shard, entry, number);
  if (segment === undefined) {
    unlinkFile(path);
    return false;
  }
  globalThis.crashPoint?.("rotate.mapped");
  writeSegmentHeader(segment.mapping.words, number, entry);
  globalThis.crashPoint?.("rotate.headed");
  listSegment(shard, entry, number);
  setHeader(words, H.segments, (words[H.segments] as number) + 1);
  globalThis.crashPoint?.("rotate.listed");
  const previous = (words[H.tail] as number) - 1;
  setHeader(words, H.tail, entry + 1);
  globalThis.crashPoint?.("rotate.tail_moved");
  if (previous >= 0) retireUnread(shard, previous);
  return true;
}

/** The segment that has just been made; undefined where this process has no room for it: then it is as if there were no space. */
function mapNew(shard: Shard, entry: number, number: number): Segment | undefined {
  try {
    return mapSegment(shard, entry, number, true);
  } catch (error) {
    if (isPassing(error)) return undefined;
    throw error;
  }
}

/** Writes the table's entry of an empty segment. */
export function listSegment(shard: Shard, entry: number, number: number): void {
  const { words } = shard.index;
  const at = entryWord(entry);
  words.fill(0, at, at + S.words);
  words[at + S.used] = SEGMENT_HEADER_BYTES;
  words[at + S.number] = number;
  sealEntry(words, at);
}

/** Gives a segment back in which nothing is unread; one of which that is not certain is left for the repair. */
function retireUnread(shard: Shard, entry: number): void {
  const { words } = shard.index;
  if (!isEntrySealed(words, entryWord(entry))) suspect(shard);
  else if (words[entryWord(entry) + S.live] === 0) retire(shard, entry);
}

/** The recycled segment under its new number, if this process still has it mapped. */
function adoptRecycled(shard: Shard, entry: number, number: number): Segment | undefined {
  const kept = shard.recycled;
  const isIt = kept !== undefined && kept.number === shard.index.words[H.recycled];
  shard.recycled = undefined;
  setHeader(shard.index.words, H.recycled, 0);
  if (!isIt) {
    kept?.mapping.unmap();
    return undefined;
  }
  const segment = { number, mapping: kept.mapping };
  shard.segments.set(entry, segment);
  return segment;
}

/** Gives a segment back. Nothing in it is unread, and it is not the tail. */
export function retire(shard: Shard, entry: number): void {
  const words = shard.index.words;
  assert(words[H.tail] !== entry + 1, "the tail segment is not retired");
  globalThis.crashPoint?.("retire.begun");
  const at = entryWord(entry);
  const segment = shard.segments.get(entry);
  const path = segmentPath(shard, words[at + S.number] as number);
  if (words[H.recycled] === 0 && segment !== undefined && segment.number === words[at + S.number]) {
    // Renamed before it is zeroed: a rebuild removes the file of this name, but would report a segment half zeroed as damaged.
    if (renameFile(path, recycledPath(shard)) === 0) {
      globalThis.crashPoint?.("retire.renamed");
      segment.mapping.words.fill(0, 0, (words[at + S.used] as number) >>> 2);
      globalThis.crashPoint?.("retire.zeroed");
      shard.recycled?.mapping.unmap();
      shard.recycled = segment;
      shard.segments.delete(entry);
      setHeader(words, H.recycled, segment.number);
      globalThis.crashPoint?.("retire.kept");
    }
  }
  if (words[H.recycled] !== words[at + S.number]) {
    unlinkFile(path);
    globalThis.crashPoint?.("retire.unlinked");
    segment?.mapping.unmap();
    shard.segments.delete(entry);
  }
  words.fill(0, at, at + S.words);
  setHeader(words, H.segments, Math.max(0, (words[H.segments] as number) - 1));
  globalThis.crashPoint?.("retire.unlisted");
}

/** One record of a segment less (or more) to be read. */
export function countLive(shard: Shard, entry: number, records: number, bytes: number): void {
  const at = entryWord(entry);
  const words = shard.index.words;
  if (!isEntrySealed(words, at)) {
    suspect(shard);
    return;
  }
  words[at + S.live] = (words[at + S.live] as number) + records;
  words[at + S.liveBytes] = (words[at + S.liveBytes] as number) + bytes;
  sealEntry(words, at);
  if (words[at + S.live] === 0 && words[H.tail] !== entry + 1) retire(shard, entry);
}
