/** Appending messages to an inbox: the checks, the record, the links. Under the shard's lock. */
import { limits } from "../limits.ts";
import { isSound } from "./audit.ts";
import { compact, compactSome } from "./compact.ts";
import type { Full } from "./contract.ts";
import { countOutcome } from "./counters.ts";
import { A, C, CHAIN, type ChainNumber, CLOSED, H, positionOf, R } from "./layout.ts";
import { findPair, lastSequence, PAIRS_DAMAGED, type PairKey, recordSequence, reservePair } from "./pairs.ts";
import {
  addRecord,
  closeTail,
  isLater,
  isOfChain,
  linkNext,
  markLoss,
  openTail,
  recordBound,
  tailRoom,
  wholeLength,
} from "./record.ts";
import { isChainSealed, sealChain, setHeader } from "./seals.ts";
import { type Place, placeOf, rotate } from "./segments.ts";
import { beyondRepair, clean, dirty, isClean, repair, type Shard } from "./shard.ts";
import { chainWord, findSlot, isTenanted, slotWord } from "./slots.ts";

export interface Parcel {
  readonly to: string;
  readonly chain: ChainNumber;
  readonly key: PairKey;
  /** The message's text, as a string or encoded, or the reference to its blob. */
  readonly body: string | Uint8Array;
  /** `bodySum(body)`. */
  readonly sum: number;
  readonly flags: number;
  /** Bytes that count against the inbox; 0 for those of the body. */
  readonly charge: number;
  /** The sender's own number, where it retries; 0 to number it here. */
  readonly sequence: number;
  /** From whoever closed the inboxes. */
  readonly late: boolean;
  /** Why it cannot go, as is known before the lock: what it is refused for, unless it has been accepted before. */
  readonly unfit: Full | undefined;
}

export type Refusal =
  | { readonly status: "duplicate"; readonly sequence: number }
  | Full
  | { readonly status: "gone" }
  | { readonly status: "closed" }
  | { readonly status: "gap"; readonly expected: number };

/** What has become of a row of parcels: so many were accepted, and the next one was refused, unless that is undefined. */
export interface Appended {
  readonly accepted: number;
  /** Of the last one that was accepted. */
  readonly sequence: number;
  readonly bell: number;
  readonly refusal: Refusal | undefined;
}

export const refusedWith = (refusal: Refusal): Appended => ({ accepted: 0, sequence: 0, bell: 0, refusal });

/**
 * Appends as many of the parcels from `from` to before `to` as fit the tail segment, at least one, or refuses the first: those
 * refused have changed nothing. The parcels are of one sender, one recipient and one chain; those behind the first have no
 * number of their own. What is looked at and sealed is so once for all of them. Throws unavailable where repair does not help.
 */
export function append(shard: Shard, parcels: readonly Parcel[], from: number, to: number): Appended {
  for (let repairs = 0; repairs < 3; repairs++) {
    const appended = isClean(shard) ? tryAppend(shard, parcels, from, to) : undefined;
    // A slot that is not what was written may be the recipient's.
    if (appended !== undefined && (appended.refusal?.status !== "gone" || isSound(shard))) {
      countOutcome(shard.index.words, appended);
      return appended;
    }
    repair(shard);
  }
  throw beyondRepair(shard);
}

/** Undefined where something it needs is not as it was written; nothing has been appended then. */
function tryAppend(shard: Shard, parcels: readonly Parcel[], from: number, to: number): Appended | undefined {
  const first = parcels[from] as Parcel;
  const slot = findSlot(shard, first.to);
  if (slot < 0 || !isTenanted(shard, slot)) return refusedWith({ status: "gone" });
  const { chain, key } = first;

  const known = findPair(shard, key);
  if (known === undefined) return refusedWith(busFull(shard));
  if (known === PAIRS_DAMAGED) return undefined;
  const last = lastSequence(shard, known);
  const sequence = first.sequence === 0 ? last + 1 : first.sequence;
  if (sequence <= last) return refusedWith({ status: "duplicate", sequence });
  if (chain === CHAIN.data && shard.index.words[H.closing] === CLOSED && !first.late)
    return refusedWith({ status: "closed" });
  if (sequence > last + 1) return refusedWith({ status: "gap", expected: last + 1 });
  if (first.unfit !== undefined) return refusedWith(first.unfit);

  let words = shard.index.words;
  const at = slotWord(slot);
  const chainAt = chainWord(slot, chain);
  if (!isChainSealed(words, at, chain)) return undefined;
  const most = chain === CHAIN.data ? shard.inboxMessages : limits.controlMessages;
  const depth = words[chainAt + C.depth] as number;
  if (depth >= most) return refusedWith(inboxFull(shard, chain));
  const bytesLeft = chain === CHAIN.data ? shard.inboxBytes - (words[at + A.bytes] as number) : Number.MAX_SAFE_INTEGER;
  if (chargeOf(first) > bytesLeft)
    return refusedWith({ status: "full", what: "inbox", limit: `${shard.inboxBytes} bytes` });

  globalThis.crashPoint?.("append.checked");
  dirty(shard);
  globalThis.crashPoint?.("append.dirty");
  const pair = reservePair(shard, known, key);
  if (pair === undefined || !makeRoom(shard, recordBound(first.body), chain === CHAIN.control)) {
    clean(shard);
    return refusedWith(busFull(shard));
  }
  globalThis.crashPoint?.("append.reserved");
  words = shard.index.words;
  const lastInbox = words[chainAt + C.sequence] as number;
  const tailAt = words[chainAt + C.tail] as number;
  const before = tailAt === 0 ? undefined : placeOf(shard, tailAt);
  if (pair === PAIRS_DAMAGED) return undefined;
  if (tailAt !== 0 && !isLastOf(shard, before, slot, chain, lastInbox)) return undefined;
  const tail = openTail(shard);
  if (tail === undefined) return undefined;

  const header = {
    slot,
    chain,
    generation: words[at + A.generation] as number,
    inboxSequence: lastInbox,
    senderSequence: sequence - 1,
    keyLow: key.low,
    keyHigh: key.high,
    flags: 0,
    charge: 0,
  };
  const begin = tail.used;
  let previous = before;
  let accepted = 0;
  let charged = 0;
  let blobBytes = 0;
  let position = 0;
  for (let one = first; ; ) {
    const place = { words: tail.words, bytes: tail.bytes, entry: tail.entry, at: tail.used, word: tail.used >>> 2 };
    header.inboxSequence = (header.inboxSequence + 1) >>> 0;
    header.senderSequence++;
    header.flags = one.flags;
    header.charge = one.charge;
    addRecord(tail, header, one.body, one.sum);
    globalThis.crashPoint?.("append.written");
    position = positionOf(place.entry, place.at);
    if (previous === undefined) words[chainAt + C.head] = position;
    else {
      linkNext(previous, position);
      if (accepted === 0 && previous.words[previous.word + R.inboxSequence] !== lastInbox) markLoss(place, true);
    }
    globalThis.crashPoint?.("append.linked");
    const charge = place.words[place.word + R.charge] as number;
    charged += charge;
    if (one.flags !== 0) blobBytes += charge;
    previous = place;
    accepted++;
    if (from + accepted === to || depth + accepted >= most) break;
    one = parcels[from + accepted] as Parcel;
    if (charged + chargeOf(one) > bytesLeft || tail.used + recordBound(one.body) > shard.segmentBytes) break;
  }
  words[chainAt + C.tail] = position;
  globalThis.crashPoint?.("append.tail_moved");
  words[chainAt + C.sequence] = header.inboxSequence;
  if (chain === CHAIN.data) words[at + A.bytes] = (words[at + A.bytes] as number) + charged;
  if (blobBytes !== 0) setHeader(words, H.blobBytes, (words[H.blobBytes] as number) + blobBytes);
  closeTail(shard, tail, accepted, tail.used - begin);
  globalThis.crashPoint?.("append.counted");
  recordSequence(shard, pair, key, slot, header.senderSequence);
  globalThis.crashPoint?.("append.numbered");
  Atomics.add(words, chainAt + C.depth, accepted);
  globalThis.crashPoint?.("append.deep");
  sealChain(words, at, chain);
  clean(shard);
  globalThis.crashPoint?.("append.clean");
  const bell = Atomics.exchange(words, at + A.bell + chain, 0);
  return { accepted, sequence: header.senderSequence, bell, refusal: undefined };
}

/** The most bytes that a parcel may count. */
const chargeOf = ({ charge, body }: Parcel): number => charge || body.length;

/** Whether the record at a chain's end is one of that chain, no later than the last that was sent. */
function isLastOf(
  shard: Shard,
  place: Place | undefined,
  slot: number,
  chain: ChainNumber,
  last: number,
): place is Place {
  if (place === undefined || wholeLength(place.words, place.at, shard.segmentBytes) === 0) return false;
  const generation = shard.index.words[slotWord(slot) + A.generation] as number;
  const sequence = place.words[place.word + R.inboxSequence] as number;
  return isOfChain(place.words, place.word, slot, chain, generation) && !isLater(sequence, last);
}

export const inboxFull = (shard: Shard, chain: ChainNumber = CHAIN.data) =>
  ({
    status: "full",
    what: "inbox",
    limit: `${chain === CHAIN.data ? shard.inboxMessages : limits.controlMessages} messages`,
  }) as const;

export const busFull = (shard: Shard) =>
  ({ status: "full", what: "bus", limit: `${shard.bytesMost} bytes a shard` }) as const;

/** Room for a record at the tail: rotates, and moves old messages forward where that is what it takes. */
function makeRoom(shard: Shard, bytes: number, reserved: boolean): boolean {
  if (tailRoom(shard) >= bytes) return true;
  if (rotate(shard, reserved)) {
    compactSome(shard);
    return tailRoom(shard) >= bytes || rotate(shard, reserved);
  }
  return compact(shard) && (tailRoom(shard) >= bytes || rotate(shard, reserved));
}
