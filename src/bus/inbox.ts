/**
 * Reading an inbox and taking from it. Under the shard's lock: what is read is copied out, so that nobody outside the lock
 * ever holds a position and messages may be moved at any time.
 */
import { A, C, type ChainNumber, entryOf, FLAG_BLOB, H, R } from "./layout.ts";
import { bodyOf, inspect, lengthOf, markAttempt, markTaken, nextOf } from "./record.ts";
import { countLive, type Place, placeOf } from "./segments.ts";
import { clean, dirty, type Shard } from "./shard.ts";
import { chainWord, slotWord } from "./slots.ts";

/** A record copied out of its segment. */
export interface Copy {
  readonly body: Uint8Array;
  readonly isBlob: boolean;
  readonly sequence: number;
  readonly attempt: number;
  readonly charge: number;
}

/** The chain's next record if it is whole. A broken one means that memory was damaged: the caller rebuilds. */
function wholeAt(shard: Shard, position: number): Place | undefined {
  const place = placeOf(shard, position);
  return place !== undefined && inspect(place, shard.segmentBytes) === "whole" ? place : undefined;
}

/**
 * Copies the oldest records of a chain: at most `max`, and about `bytesMost` bytes but at least one. With `mark` each is
 * counted as handed over once more.
 */
export function copyOldest(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  max: number,
  bytesMost: number,
  mark: boolean,
): Copy[] {
  const copies = walk(shard, slot, chain, max, bytesMost, mark);
  if (copies !== undefined) return copies;
  // Damage: the rebuild drops what is broken and links the rest, so the second walk ends.
  dirty(shard);
  shard.rebuild(shard);
  clean(shard);
  return walk(shard, slot, chain, max, bytesMost, mark) ?? [];
}

function walk(
  shard: Shard,
  slot: number,
  chain: ChainNumber,
  max: number,
  bytesMost: number,
  mark: boolean,
): Copy[] | undefined {
  const chainAt = chainWord(slot, chain);
  const depth = shard.index.words[chainAt + C.depth] as number;
  const copies: Copy[] = [];
  let bytes = 0;
  for (let position = shard.index.words[chainAt + C.head] as number; copies.length < Math.min(max, depth); ) {
    const place = wholeAt(shard, position);
    if (place === undefined) return copies.length > 0 ? copies : undefined;
    const charge = place.words[place.word + R.charge] as number;
    if (copies.length > 0 && bytes + charge > bytesMost) break;
    bytes += charge;
    copies.push({
      body: bodyOf(place).slice(),
      isBlob: ((place.words[place.word + R.flags] as number) & FLAG_BLOB) !== 0,
      sequence: place.words[place.word + R.senderSequence] as number,
      attempt: mark ? markAttempt(place) : (place.words[place.word + R.state] as number) >>> 16,
      charge,
    });
    position = nextOf(place);
  }
  return copies;
}

/**
 * Takes the `count` oldest records of a chain off the bus.
 *
 * @returns the bodies of those that name blobs, for their removal once the lock is free.
 */
export function takeOldest(shard: Shard, slot: number, chain: ChainNumber, count: number): Uint8Array[] {
  const blobs: Uint8Array[] = [];
  const words = shard.index.words;
  const chainAt = chainWord(slot, chain);
  dirty(shard);
  for (let taken = 0; taken < count && (words[chainAt + C.depth] as number) > 0; taken++) {
    const position = words[chainAt + C.head] as number;
    const place = placeOf(shard, position);
    if (place === undefined) {
      shard.rebuild(shard);
      break;
    }
    const charge = place.words[place.word + R.charge] as number;
    if (((place.words[place.word + R.flags] as number) & FLAG_BLOB) !== 0) {
      blobs.push(bodyOf(place).slice());
      words[H.blobBytes] = Math.max(0, (words[H.blobBytes] as number) - charge);
    }
    const next = nextOf(place);
    markTaken(place);
    if (chain === 0)
      words[slotWord(slot) + A.bytes] = Math.max(0, (words[slotWord(slot) + A.bytes] as number) - charge);
    words[chainAt + C.head] = next;
    if (next === 0) words[chainAt + C.tail] = 0;
    Atomics.sub(words, chainAt + C.depth, 1);
    countLive(shard, entryOf(position), -1, -lengthOf(place));
  }
  clean(shard);
  return blobs;
}
