/**
 * Reading an inbox and taking from it. Under the shard's lock records are only copied, in one piece where they lie side by
 * side; checksums and unpacking come when it is free again, so that a reader keeps its senders waiting as little as it can.
 * Nobody outside the lock ever holds a position, and messages may be moved at any time.
 */
import { textOf } from "../os/text.ts";
import { A, C, type ChainNumber, entryOf, FLAG_BLOB, H, offsetOf, R, RECORD_HEADER_BYTES, TAKEN } from "./layout.ts";
import {
  attemptsOf,
  bodyOf,
  bodySum,
  checksumWith,
  isLater,
  isNext,
  isOfChain,
  markAttempt,
  wholeLength,
} from "./record.ts";
import { isChainSealed, sealChain, setHeader } from "./seals.ts";
import { countLive, type Place, placeOf } from "./segments.ts";
import { clean, dirty, isClean, repair, type Shard, withShard } from "./shard.ts";
import { chainWord, slotWord } from "./slots.ts";

/** A record copied out of its segment. */
export interface Copy {
  /** Its text, or the reference to the blob that holds it. */
  readonly body: string | Uint8Array;
  readonly sequence: number;
  readonly attempt: number;
  readonly charge: number;
  /** Its place in the inbox: what an acknowledgement names. */
  readonly inboxSequence: number;
}

/** Records as they lay there, not yet checked. */
export interface Gathered {
  readonly blocks: Uint8Array[];
  /** `FIELDS` numbers for each record: its block, its byte offset in that, and the bytes of its body, which are within it. */
  readonly records: number[];
  /** False where the chain does not lead from record to record as it was linked: after a repair it does. */
  readonly isSound: boolean;
}

const FIELDS = 3;

/**
 * Copies the oldest records of a chain: at most `max`, and about `bytesMost` bytes but at least one. With `mark` each is
 * counted as handed over once more. Under the shard's lock; ends early where there is no record of this chain, which only
 * damage does.
 */
export function gather(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  max: number,
  bytesMost: number,
  mark: boolean,
): Gathered {
  const index = shard.index.words;
  const chainAt = chainWord(slot, chain);
  let isSound = isChainSealed(index, slotWord(slot), chain);
  const most = isSound ? Math.min(max, index[chainAt + C.depth] as number) : 0;
  const generation = index[slotWord(slot) + A.generation] as number;
  let before = index[chainAt + C.taken] as number;
  const blocks: Uint8Array[] = [];
  const records: number[] = [];
  let place: Place | undefined;
  let from = 0;
  let to = 0;
  let charged = 0;
  let position = index[chainAt + C.head] as number;
  const endBlock = (): void => {
    if (place !== undefined && to > from) blocks.push(place.bytes.slice(from, to));
  };
  for (let n = 0; n < most; n++) {
    const at = offsetOf(position);
    if (place === undefined || leavesBlock(shard, place, at, to, position)) {
      endBlock();
      place = placeOf(shard, position);
      from = at;
      to = at;
    }
    const length = place === undefined ? 0 : wholeLength(place.words, at, shard.segmentBytes);
    const word = at >>> 2;
    if (
      place === undefined ||
      length === 0 ||
      !isOfChain(place.words, word, slot, chain, generation) ||
      !isNext(place.words, word, before)
    ) {
      isSound = false;
      break;
    }
    const { words } = place;
    before = words[word + R.inboxSequence] as number;
    const charge = words[word + R.charge] as number;
    if (n > 0 && charged + charge > bytesMost) break;
    charged += charge;
    if (mark) markAttempt(words, word);
    records.push(blocks.length, at - from, words[word + R.bodyBytes] as number);
    to = at + length;
    position = words[word + R.next] as number;
  }
  endBlock();
  globalThis.crashPoint?.("deliver.marked");
  return { blocks, records, isSound };
}

/** The records up to the first that fails its checksum. */
function unpack({ blocks, records }: Gathered): Copy[] {
  const copies: Copy[] = [];
  let number = -1;
  let block: Uint8Array = new Uint8Array(0);
  let words: Uint32Array = new Uint32Array(0);
  for (let n = 0; n < records.length; n += FIELDS) {
    if (records[n] !== number) {
      number = records[n] as number;
      block = blocks[number] as Uint8Array;
      words = new Uint32Array(block.buffer);
    }
    const at = records[n + 1] as number;
    const word = at >>> 2;
    const from = at + RECORD_HEADER_BYTES;
    const to = from + (records[n + 2] as number);
    const isBlob = ((words[word + R.flags] as number) & FLAG_BLOB) !== 0;
    const body = isBlob ? block.subarray(from, to) : textOf(block, from, to);
    // A text of as many characters as bytes has the sum of its bytes, or they were no text; of others the bytes are asked.
    const sum = bodySum(body.length === to - from ? body : block.subarray(from, to));
    if (checksumWith(words, word, sum) !== words[word + R.checksum]) break;
    copies.push({
      body,
      sequence: words[word + R.senderSequence] as number,
      attempt: attemptsOf(words[word + R.state] as number),
      charge: words[word + R.charge] as number,
      inboxSequence: words[word + R.inboxSequence] as number,
    });
  }
  return copies;
}

/** What of one inbox, or of several in this shard, `collect` gathers under the lock. */
export function readOldest(
  shard: Shard,
  collect: () => { readonly gathered: Gathered; readonly depth: number }[],
): Copy[][] {
  const read = (): { readonly copies: Copy[]; readonly isSound: boolean }[] =>
    withShard(shard, collect).map(({ gathered, depth }) => {
      const copies = unpack(gathered);
      return { copies, isSound: gathered.isSound && (copies.length > 0 || depth === 0) };
    });
  let all = read();
  globalThis.crashPoint?.("deliver.unlocked");
  if (all.some(({ isSound }) => !isSound)) {
    // The repair takes out what is broken and links the rest.
    withShard(shard, () => repair(shard));
    all = read();
  }
  return all.map(({ copies }) => copies);
}

/** The oldest records of a chain: how many, and of the last one where the next begins and its place in the inbox. */
interface Oldest {
  readonly count: number;
  readonly next: number;
  readonly taken: number;
}

/** At most `count`, none later than `upTo`; undefined where the chain does not lead from one to the next. */
function oldest(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  count: number,
  upTo: number | undefined,
): Oldest | undefined {
  const index = shard.index.words;
  if (!isClean(shard) || !isChainSealed(index, slotWord(slot), chain)) return undefined;
  const chainAt = chainWord(slot, chain);
  const generation = index[slotWord(slot) + A.generation] as number;
  const most = Math.min(count, index[chainAt + C.depth] as number);
  let position = index[chainAt + C.head] as number;
  let before = index[chainAt + C.taken] as number;
  let place: Place | undefined;
  let end = 0;
  let n = 0;
  for (; n < most; n++) {
    const at = offsetOf(position);
    if (place === undefined || leavesBlock(shard, place, at, end, position)) place = placeOf(shard, position);
    if (place === undefined) return undefined;
    const { words } = place;
    const word = at >>> 2;
    const length = wholeLength(words, at, shard.segmentBytes);
    if (length === 0 || !isOfChain(words, word, slot, chain, generation) || !isNext(words, word, before))
      return undefined;
    const sequence = words[word + R.inboxSequence] as number;
    if (upTo !== undefined && isLater(sequence, upTo)) break;
    before = sequence;
    end = at + length;
    position = words[word + R.next] as number;
  }
  return { count: n, next: position, taken: before };
}

/** Whether a record does not lie directly behind the one that ends at `end`. */
const leavesBlock = (shard: Shard, place: Place, at: number, end: number, position: number): boolean =>
  at !== end || at >= shard.segmentBytes || entryOf(position) !== place.entry;

/**
 * Takes the `count` oldest records of a chain off the bus; none later than inbox sequence `upTo`, where that is known: a
 * repair since they were read may have dropped some of them.
 *
 * @returns the bodies of those that name blobs, for their removal once the lock is free.
 */
export function takeOldest(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  count: number,
  upTo: number | undefined,
): Uint8Array[] {
  let found = oldest(shard, slot, chain, count, upTo);
  if (found === undefined) {
    repair(shard);
    found = oldest(shard, slot, chain, count, upTo);
  }
  if (found === undefined || found.count === 0) return [];
  const blobs: Uint8Array[] = [];
  const { words } = shard.index;
  const chainAt = chainWord(slot, chain);
  let charged = 0;
  /** Taken of each segment: its table entry, records, bytes. */
  const perSegment: [entry: number, records: number, bytes: number][] = [];
  let segment: [entry: number, records: number, bytes: number] = [-1, 0, 0];
  let place: Place | undefined;
  let end = 0;
  let position = words[chainAt + C.head] as number;
  globalThis.crashPoint?.("take.begun");
  dirty(shard);
  globalThis.crashPoint?.("take.dirty");
  for (let n = 0; n < found.count; n++) {
    const at = offsetOf(position);
    if (place === undefined || leavesBlock(shard, place, at, end, position)) {
      place = placeOf(shard, position) as Place;
      if (place.entry !== segment[0]) {
        segment = [place.entry, 0, 0];
        perSegment.push(segment);
      }
    }
    const word = at >>> 2;
    const charge = place.words[word + R.charge] as number;
    charged += charge;
    if (((place.words[word + R.flags] as number) & FLAG_BLOB) !== 0) {
      blobs.push(bodyOf({ ...place, at, word }).slice());
      setHeader(words, H.blobBytes, Math.max(0, (words[H.blobBytes] as number) - charge));
    }
    Atomics.or(place.words, word + R.state, TAKEN);
    globalThis.crashPoint?.("take.marked");
    const length = Atomics.load(place.words, word + R.commit);
    segment[1]++;
    segment[2] += length;
    end = at + length;
    position = place.words[word + R.next] as number;
  }
  const depth = (words[chainAt + C.depth] as number) - found.count;
  if (chain === 0) {
    const bytesAt = slotWord(slot) + A.bytes;
    words[bytesAt] = depth === 0 ? 0 : Math.max(0, (words[bytesAt] as number) - charged);
  }
  words[chainAt + C.head] = depth === 0 ? 0 : found.next;
  if (depth === 0) words[chainAt + C.tail] = 0;
  globalThis.crashPoint?.("take.head_moved");
  // With nothing unread everything is taken, what was sent and then lost as well.
  words[chainAt + C.taken] = depth === 0 ? (words[chainAt + C.sequence] as number) : found.taken;
  Atomics.store(words, chainAt + C.depth, depth);
  globalThis.crashPoint?.("take.shallow");
  sealChain(words, slotWord(slot), chain);
  for (const [entry, records, bytes] of perSegment) countLive(shard, entry, -records, -bytes);
  globalThis.crashPoint?.("take.counted");
  clean(shard);
  return blobs;
}
