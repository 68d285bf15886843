/**
 * Reading an inbox and taking from it. Under the shard's lock records are only copied, in one piece where they lie side by
 * side; checksums and unpacking come when it is free again, so that a reader keeps its senders waiting as little as it can.
 * Nobody outside the lock ever holds a position, and messages may be moved at any time.
 */
import { A, C, type ChainNumber, entryOf, FLAG_BLOB, H, offsetOf, R, RECORD_HEADER_BYTES } from "./layout.ts";
import { bodyOf, checksum, lengthOf, markAttempt, markTaken, nextOf, wholeLength } from "./record.ts";
import { countLive, placeOf } from "./segments.ts";
import { clean, dirty, type Shard, withShard } from "./shard.ts";
import { chainWord, slotWord } from "./slots.ts";

/** A record copied out of its segment. */
export interface Copy {
  readonly body: Uint8Array;
  readonly isBlob: boolean;
  readonly sequence: number;
  readonly attempt: number;
  readonly charge: number;
}

/** Records as they lay there, not yet checked. */
export interface Gathered {
  readonly blocks: Uint8Array[];
  /**
   * `FIELDS` numbers for each record: its block, its byte offset in that, how often it has been handed over, and words of its
   * header. An object for each, or a view of the words, would be most of what a long run leaves to the collector.
   */
  readonly records: number[];
}

const FIELDS = 8;

/**
 * Copies the oldest records of a chain: at most `max`, and about `bytesMost` bytes but at least one. With `mark` each is
 * counted as handed over once more. Under the shard's lock; ends early where there is no record, which only damage does.
 */
export function gather(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  max: number,
  bytesMost: number,
  mark: boolean,
): Gathered {
  const chainAt = chainWord(slot, chain);
  const most = Math.min(max, shard.index.words[chainAt + C.depth] as number);
  const blocks: Uint8Array[] = [];
  const records: number[] = [];
  let place: ReturnType<typeof placeOf>;
  let from = 0;
  let to = 0;
  let charged = 0;
  let position = shard.index.words[chainAt + C.head] as number;
  const endBlock = (): void => {
    if (place !== undefined && to > from) blocks.push(place.bytes.slice(from, to));
  };
  for (let n = 0; n < most; n++) {
    const at = offsetOf(position);
    if (place === undefined || at !== to || entryOf(position) !== place.entry) {
      endBlock();
      place = placeOf(shard, position);
      from = at;
      to = at;
    }
    const length = place === undefined ? 0 : wholeLength(place.words, at, shard.segmentBytes);
    if (place === undefined || length === 0) break;
    const { words } = place;
    const word = at >>> 2;
    const charge = words[word + R.charge] as number;
    if (n > 0 && charged + charge > bytesMost) break;
    charged += charge;
    records.push(
      blocks.length,
      at - from,
      mark ? markAttempt(words, word) : (words[word + R.state] as number) >>> 16,
      words[word + R.crc] as number,
      words[word + R.bodyBytes] as number,
      words[word + R.flags] as number,
      words[word + R.senderSequence] as number,
      charge,
    );
    to = at + length;
    position = words[word + R.next] as number;
  }
  endBlock();
  globalThis.crashPoint?.("deliver.marked");
  return { blocks, records };
}

/** The records up to the first that fails its checksum. */
function unpack({ blocks, records }: Gathered): Copy[] {
  const copies: Copy[] = [];
  for (let n = 0; n < records.length; n += FIELDS) {
    const block = blocks[records[n] as number] as Uint8Array;
    const at = records[n + 1] as number;
    const bodyBytes = records[n + 4] as number;
    if (checksum(block, at, bodyBytes) !== records[n + 3]) break;
    const bodyAt = at + RECORD_HEADER_BYTES;
    copies.push({
      body: block.subarray(bodyAt, bodyAt + bodyBytes),
      isBlob: ((records[n + 5] as number) & FLAG_BLOB) !== 0,
      sequence: records[n + 6] as number,
      attempt: records[n + 2] as number,
      charge: records[n + 7] as number,
    });
  }
  return copies;
}

/** What of one inbox, or of several in this shard, `collect` gathers under the lock. */
export function readOldest(
  shard: Shard,
  collect: () => { readonly gathered: Gathered; readonly depth: number }[],
): Copy[][] {
  const read = (): { readonly copies: Copy[]; readonly depth: number }[] =>
    withShard(shard, collect).map(({ gathered, depth }) => ({ copies: unpack(gathered), depth }));
  let all = read();
  globalThis.crashPoint?.("deliver.unlocked");
  if (all.some(({ copies, depth }) => copies.length === 0 && depth > 0)) {
    // Damage: the rebuild drops what is broken and links the rest.
    withShard(shard, () => {
      dirty(shard);
      shard.rebuild(shard);
      clean(shard);
    });
    all = read();
  }
  return all.map(({ copies }) => copies);
}

/**
 * Takes the `count` oldest records of a chain off the bus.
 *
 * @returns the bodies of those that name blobs, for their removal once the lock is free.
 */
export function takeOldest(shard: Shard, slot: number, chain: ChainNumber, count: number): Uint8Array[] {
  const blobs: Uint8Array[] = [];
  const { words } = shard.index;
  const chainAt = chainWord(slot, chain);
  const depth = words[chainAt + C.depth] as number;
  const most = Math.min(count, depth);
  let position = words[chainAt + C.head] as number;
  let charged = 0;
  /** Taken of each segment: its table entry, records, bytes. */
  const perSegment: [entry: number, records: number, bytes: number][] = [];
  let last: [entry: number, records: number, bytes: number] | undefined;
  globalThis.crashPoint?.("take.begun");
  dirty(shard);
  globalThis.crashPoint?.("take.dirty");
  for (let taken = 0; taken < most; taken++) {
    const place = placeOf(shard, position);
    if (place === undefined) {
      // What has been marked as taken stays so.
      shard.rebuild(shard);
      clean(shard);
      return blobs;
    }
    const charge = place.words[place.word + R.charge] as number;
    charged += charge;
    if (((place.words[place.word + R.flags] as number) & FLAG_BLOB) !== 0) {
      blobs.push(bodyOf(place).slice());
      words[H.blobBytes] = Math.max(0, (words[H.blobBytes] as number) - charge);
    }
    const next = nextOf(place);
    markTaken(place);
    globalThis.crashPoint?.("take.marked");
    if (last?.[0] !== place.entry) {
      last = [place.entry, 0, 0];
      perSegment.push(last);
    }
    last[1]++;
    last[2] += lengthOf(place);
    position = next;
  }
  if (chain === 0) {
    const bytesAt = slotWord(slot) + A.bytes;
    words[bytesAt] = Math.max(0, (words[bytesAt] as number) - charged);
  }
  words[chainAt + C.head] = position;
  if (position === 0) words[chainAt + C.tail] = 0;
  globalThis.crashPoint?.("take.head_moved");
  Atomics.store(words, chainAt + C.depth, depth - most);
  globalThis.crashPoint?.("take.shallow");
  for (const [entry, records, bytes] of perSegment) countLive(shard, entry, -records, -bytes);
  globalThis.crashPoint?.("take.counted");
  clean(shard);
  return blobs;
}
