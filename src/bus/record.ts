/**
 * Records: the truth of the bus. A record exists from the moment its commit word holds its length: one atomic store after
 * everything else of it is in place.
 */
import { assert } from "../assert.ts";
import { writeText } from "../os/text.ts";
import {
  ATTEMPT,
  ATTEMPTS_MOST,
  type ChainNumber,
  FOLLOWS_LOSS,
  H,
  IN_PROGRESS,
  NOBODY,
  R,
  RECORD_HEADER_BYTES,
  recordBytes,
  S,
  TAKEN,
} from "./layout.ts";
import { isEntrySealed, recordSum, sealEntry } from "./seals.ts";
import { entryWord, type Place, segmentAt } from "./segments.ts";
import type { Shard } from "./shard.ts";

export interface RecordHeader {
  readonly slot: number;
  readonly chain: ChainNumber;
  readonly generation: number;
  readonly inboxSequence: number;
  readonly senderSequence: number;
  readonly keyLow: number;
  readonly keyHigh: number;
  readonly flags: number;
  readonly charge: number;
}

/** Of a body, as the checksum of its record has it. */
export const bodySum = (body: string | Uint8Array): number => Bun.hash.crc32(body);

/** Of the record at `at`, whose body has this sum: of what does not change in it. */
export const checksumWith = (words: Uint32Array, word: number, sum: number): number =>
  (sum + recordSum(words, word + R.inbox)) >>> 0;

function checksum({ words, bytes, at, word }: Place, bodyBytes: number): number {
  const bodyAt = at + RECORD_HEADER_BYTES;
  return checksumWith(words, word, bodySum(bytes.subarray(bodyAt, bodyAt + bodyBytes)));
}

/** Bytes left in the tail segment. */
export function tailRoom(shard: Shard): number {
  const tail = (shard.index.words[H.tail] as number) - 1;
  return tail < 0 ? 0 : shard.segmentBytes - (shard.index.words[entryWord(tail) + S.used] as number);
}

/** The most bytes that a body may take: a UTF-16 unit becomes at most three bytes. */
const bodyBound = (body: string | Uint8Array): number => (typeof body === "string" ? body.length * 3 : body.length);

/** The most bytes that a record of this body may take. */
export const recordBound = (body: string | Uint8Array): number => recordBytes(bodyBound(body));

/** The tail segment while records are added to it; `used` is how far it is filled. */
export interface OpenTail {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly entry: number;
  used: number;
}

/** Undefined where it is not as it was written. */
export function openTail(shard: Shard): OpenTail | undefined {
  const entry = (shard.index.words[H.tail] as number) - 1;
  const segment = segmentAt(shard, entry);
  if (segment === undefined || !isEntrySealed(shard.index.words, entryWord(entry))) return undefined;
  const { words, bytes } = segment.mapping;
  return { words, bytes, entry, used: shard.index.words[entryWord(entry) + S.used] as number };
}

/**
 * Writes and commits a record at the tail, which has room for it; a text is encoded in place. `sum` is `bodySum(body)`. Links and
 * counts are the caller's. Between `dirty` and `clean`: a death before the commit leaves nothing, one after it leaves a whole
 * record that the rebuild finds. `charge` 0 stands for the body's own length. Returns the record's length.
 */
export function addRecord(tail: OpenTail, header: RecordHeader, body: string | Uint8Array, sum: number): number {
  const { words, bytes, used: at } = tail;
  const bound = recordBound(body);
  assert(at + bound <= bytes.length, "the tail segment has room for the record");
  const word = at >>> 2;
  Atomics.store(words, word + R.commit, (IN_PROGRESS | bound) >>> 0);
  globalThis.crashPoint?.("record.begun");
  const bodyAt = at + RECORD_HEADER_BYTES;
  let written = body.length;
  if (typeof body === "string") written = writeText(bytes, bodyAt, bound - RECORD_HEADER_BYTES, body);
  else bytes.set(body, bodyAt);
  globalThis.crashPoint?.("record.filled");
  const length = recordBytes(written);
  words[word + R.next] = 0;
  words[word + R.state] = 0;
  words[word + R.inbox] = (header.slot << 1) | header.chain;
  words[word + R.generation] = header.generation;
  words[word + R.inboxSequence] = header.inboxSequence;
  words[word + R.senderSequence] = header.senderSequence;
  words[word + R.keyLow] = header.keyLow;
  words[word + R.keyHigh] = header.keyHigh;
  words[word + R.bodyBytes] = written;
  words[word + R.flags] = header.flags;
  words[word + R.charge] = header.charge === 0 ? written : header.charge;
  words[word + R.zero] = 0;
  // The sum of a text is that of its bytes where each character is one; of others it is taken from what was written.
  const isPlain = written === body.length;
  const bodysSum = isPlain ? sum : bodySum(bytes.subarray(bodyAt, bodyAt + written));
  words[word + R.checksum] = checksumWith(words, word, bodysSum);
  globalThis.crashPoint?.("record.uncommitted");
  Atomics.store(words, word + R.commit, length);
  globalThis.crashPoint?.("record.committed");
  tail.used = at + length;
  return length;
}

/** Counts what has been added: so many records, that are unread, of so many bytes. */
export function closeTail(shard: Shard, { entry, used }: OpenTail, records: number, recordsBytes: number): void {
  const { words } = shard.index;
  const at = entryWord(entry);
  words[at + S.used] = used;
  words[at + S.live] = (words[at + S.live] as number) + records;
  words[at + S.liveBytes] = (words[at + S.liveBytes] as number) + recordsBytes;
  sealEntry(words, at);
}

/** Length of the record committed at `at`, by its words alone; 0 where there is none. */
export function wholeLength(words: Uint32Array, at: number, segmentBytes: number): number {
  const length = Atomics.load(words, (at >>> 2) + R.commit);
  const fits = length >= RECORD_HEADER_BYTES && at + length <= segmentBytes;
  return fits && recordBytes(words[(at >>> 2) + R.bodyBytes] as number) === length ? length : 0;
}

/** What a reader finds at a place. `broken` is a record that was committed and is not what was written. */
export type Found = "nothing" | "in_progress" | "broken" | "whole";

export function inspect(place: Place, segmentBytes: number): Found {
  const { words, at, word } = place;
  const commit = Atomics.load(words, word + R.commit);
  if (commit === 0) return "nothing";
  const length = commit & ~IN_PROGRESS;
  if (length < RECORD_HEADER_BYTES || length % 8 !== 0 || at + length > segmentBytes) return "broken";
  if (commit >= IN_PROGRESS) return "in_progress";
  if (wholeLength(words, at, segmentBytes) === 0) return "broken";
  return checksum(place, words[word + R.bodyBytes] as number) === words[word + R.checksum] ? "whole" : "broken";
}

/**
 * Whether the words of a record say that it belongs to this chain: what the checksum covers, compared without computing it.
 * The place is one that `wholeLength` accepts.
 */
export const isOfChain = (
  words: Uint32Array,
  word: number,
  slot: number,
  chain: ChainNumber,
  generation: number,
): boolean => words[word + R.inbox] === ((slot << 1) | chain) && words[word + R.generation] === generation;

/** Inbox sequences are 32-bit and wrap: later means ahead by less than half the circle. */
export const isLater = (a: number, b: number): boolean => ((a - b) | 0) > 0;

/**
 * Whether a record may stand behind one of that inbox sequence: it is the next one, or later where records between them
 * are known to be lost. So a chain neither skips nor repeats, whatever the words say that link it.
 */
export function isNext(words: Uint32Array, word: number, before: number): boolean {
  const sequence = words[word + R.inboxSequence] as number;
  return (
    sequence === (before + 1) >>> 0 || ((words[word + R.state] as number) >= FOLLOWS_LOSS && isLater(sequence, before))
  );
}

/** Commits a record that is whole but for its commit word: its writer died on the last store, or the word was hit. */
export function rollForward(place: Place, segmentBytes: number): boolean {
  const { words, at, word } = place;
  const bodyBytes = words[word + R.bodyBytes] as number;
  const length = recordBytes(bodyBytes);
  if (bodyBytes > segmentBytes || at + length > segmentBytes || checksum(place, bodyBytes) !== words[word + R.checksum])
    return false;
  Atomics.store(words, word + R.commit, length);
  return true;
}

/** Zeros, the commit word last: until then the record is still in progress for whoever comes next. */
export function erase(place: Place): void {
  const length = lengthOf(place);
  place.words.fill(0, place.word + R.checksum, place.word + length / 4);
  Atomics.store(place.words, place.word + R.commit, 0);
}

/** Makes one record of nobody of `length` bytes, so that whoever walks the segment steps over them. */
export function fillGap(place: Place, length: number): void {
  const { words, word } = place;
  Atomics.store(words, word + R.commit, (IN_PROGRESS | length) >>> 0);
  words.fill(0, word + R.checksum, word + length / 4);
  words[word + R.state] = TAKEN;
  words[word + R.inbox] = NOBODY;
  words[word + R.bodyBytes] = length - RECORD_HEADER_BYTES;
  words[word + R.checksum] = checksum(place, length - RECORD_HEADER_BYTES);
  Atomics.store(words, word + R.commit, length);
}

export function readHeader(place: Place): RecordHeader {
  const { words, word } = place;
  const inbox = words[word + R.inbox] as number;
  return {
    slot: inbox >>> 1,
    chain: (inbox & 1) as ChainNumber,
    generation: words[word + R.generation] as number,
    inboxSequence: words[word + R.inboxSequence] as number,
    senderSequence: words[word + R.senderSequence] as number,
    keyLow: words[word + R.keyLow] as number,
    keyHigh: words[word + R.keyHigh] as number,
    flags: words[word + R.flags] as number,
    charge: words[word + R.charge] as number,
  };
}

/** The body itself, not a copy: valid while the lock is held. */
export function bodyOf(place: Place): Uint8Array {
  const start = place.at + RECORD_HEADER_BYTES;
  return place.bytes.subarray(start, start + (place.words[place.word + R.bodyBytes] as number));
}

export const lengthOf = (place: Place): number => Atomics.load(place.words, place.word + R.commit) & ~IN_PROGRESS;
export const nextOf = (place: Place): number => place.words[place.word + R.next] as number;

/** By most of the sixteen bits that say so: one damaged byte of them leaves it known. */
export function isTaken(place: Place): boolean {
  let bits = Atomics.load(place.words, place.word + R.state) & TAKEN;
  if (bits === 0 || bits === TAKEN) return bits !== 0;
  let count = 0;
  for (; bits !== 0; bits >>>= 1) count += bits & 1;
  return count > 8;
}

export function linkNext(place: Place, position: number): void {
  Atomics.store(place.words, place.word + R.next, position);
}

export function markTaken(place: Place): void {
  Atomics.or(place.words, place.word + R.state, TAKEN);
}

export function markUnread(place: Place): void {
  Atomics.and(place.words, place.word + R.state, ~TAKEN);
}

/** Notes whether the records that were sent between the one before it in its inbox and this one are lost. */
export function markLoss(place: Place, isLost: boolean): void {
  const at = place.word + R.state;
  const state = place.words[at] as number;
  if (state >= FOLLOWS_LOSS !== isLost) Atomics.store(place.words, at, (state ^ FOLLOWS_LOSS) >>> 0);
}

/** How often a record with this state has been handed over. */
export const attemptsOf = (state: number): number => (state >>> 16) & ATTEMPTS_MOST;

/** Counts one more hand-over of the record. */
export function markAttempt(words: Uint32Array, word: number): void {
  if (attemptsOf(Atomics.load(words, word + R.state)) < ATTEMPTS_MOST) Atomics.add(words, word + R.state, ATTEMPT);
}

/** A moved record has been handed over as often as the original. */
export function copyAttempts(from: Place, to: Place): void {
  to.words[to.word + R.state] = ((from.words[from.word + R.state] as number) & ~TAKEN) >>> 0;
}
