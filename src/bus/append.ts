/** Appending a message to an inbox: the checks, the record, the links. Under the shard's lock. */
import { limits } from "../limits.ts";
import { isSound } from "./audit.ts";
import { compact, compactSome } from "./compact.ts";
import { countOutcome } from "./counters.ts";
import { A, C, CHAIN, type ChainNumber, CLOSED, H, positionOf, R, recordBytes } from "./layout.ts";
import { findPair, lastSequence, PAIRS_DAMAGED, type PairKey, recordSequence, reservePair } from "./pairs.ts";
import {
  bodyBound,
  isLater,
  isOfChain,
  lengthOf,
  linkNext,
  markLoss,
  tailRoom,
  wholeLength,
  writeRecord,
} from "./record.ts";
import { isChainSealed, sealChain, setHeader } from "./seals.ts";
import { countLive, type Place, placeOf, rotate } from "./segments.ts";
import { beyondRepair, clean, dirty, isClean, repair, type Shard } from "./shard.ts";
import { chainWord, findSlot, isTenanted, slotWord } from "./slots.ts";

export interface Parcel {
  readonly to: string;
  readonly chain: ChainNumber;
  readonly key: PairKey;
  /** The message's text, as a string or encoded, or the reference to its blob. */
  body: string | Uint8Array;
  readonly flags: number;
  /** Bytes that count against the inbox; 0 for those of the body. */
  readonly charge: number;
  /** The sender's own number, where it retries; 0 to number it here. */
  readonly sequence: number;
  /** From whoever closed the inboxes. */
  readonly late: boolean;
}

export type Appended =
  | { readonly status: "accepted"; readonly sequence: number; readonly bell: number }
  | { readonly status: "duplicate"; readonly sequence: number }
  | { readonly status: "full"; readonly what: "inbox" | "bus"; readonly limit: string }
  | { readonly status: "gone" }
  | { readonly status: "closed" }
  | { readonly status: "gap"; readonly expected: number };

/** One attempt to append; anything but `accepted` has changed nothing. Throws unavailable where repair does not help. */
export function append(shard: Shard, parcel: Parcel): Appended {
  for (let repairs = 0; repairs < 3; repairs++) {
    const appended = isClean(shard) ? tryAppend(shard, parcel) : undefined;
    // A slot that is not what was written may be the recipient's.
    if (appended !== undefined && (appended.status !== "gone" || isSound(shard))) {
      countOutcome(shard.index.words, appended);
      return appended;
    }
    repair(shard);
  }
  throw beyondRepair(shard);
}

/** Undefined where something it needs is not as it was written; nothing has been appended then. */
function tryAppend(shard: Shard, parcel: Parcel): Appended | undefined {
  const slot = findSlot(shard, parcel.to);
  if (slot < 0 || !isTenanted(shard, slot)) return { status: "gone" };
  const { chain, key } = parcel;

  const known = findPair(shard, key);
  if (known === undefined) return busFull(shard);
  if (known === PAIRS_DAMAGED) return undefined;
  const last = lastSequence(shard, known);
  const sequence = parcel.sequence === 0 ? last + 1 : parcel.sequence;
  if (sequence <= last) return { status: "duplicate", sequence };
  if (chain === CHAIN.data && shard.index.words[H.closing] === CLOSED && !parcel.late) return { status: "closed" };
  if (sequence > last + 1) return { status: "gap", expected: last + 1 };

  let words = shard.index.words;
  if (!isChainSealed(words, slotWord(slot), chain)) return undefined;
  const depth = words[chainWord(slot, chain) + C.depth] as number;
  if (depth >= (chain === CHAIN.data ? shard.inboxMessages : limits.controlMessages)) return inboxFull(shard, chain);
  if (
    chain === CHAIN.data &&
    (words[slotWord(slot) + A.bytes] as number) + (parcel.charge || parcel.body.length) > shard.inboxBytes
  ) {
    return { status: "full", what: "inbox", limit: `${shard.inboxBytes} bytes` };
  }

  globalThis.crashPoint?.("append.checked");
  dirty(shard);
  globalThis.crashPoint?.("append.dirty");
  const pair = reservePair(shard, known, key);
  if (pair === undefined || !makeRoom(shard, recordBytes(bodyBound(parcel.body)), chain === CHAIN.control)) {
    clean(shard);
    return busFull(shard);
  }
  globalThis.crashPoint?.("append.reserved");
  words = shard.index.words;
  const chainAt = chainWord(slot, chain);
  const lastInbox = words[chainAt + C.sequence] as number;
  const inboxSequence = (lastInbox + 1) >>> 0;
  const tail = words[chainAt + C.tail] as number;
  const before = tail === 0 ? undefined : placeOf(shard, tail);
  if (pair === PAIRS_DAMAGED) return undefined;
  if (tail !== 0 && !isLastOf(shard, before, slot, chain, lastInbox)) return undefined;
  const place = writeRecord(
    shard,
    {
      slot,
      chain,
      generation: words[slotWord(slot) + A.generation] as number,
      inboxSequence,
      senderSequence: sequence,
      keyLow: key.low,
      keyHigh: key.high,
      flags: parcel.flags,
      charge: parcel.charge,
    },
    parcel.body,
  );
  if (place === undefined) return undefined;
  globalThis.crashPoint?.("append.written");
  const position = positionOf(place.entry, place.at);
  if (before === undefined) words[chainAt + C.head] = position;
  else {
    linkNext(before, position);
    if (before.words[before.word + R.inboxSequence] !== lastInbox) markLoss(place, true);
  }
  globalThis.crashPoint?.("append.linked");
  words[chainAt + C.tail] = position;
  globalThis.crashPoint?.("append.tail_moved");
  words[chainAt + C.sequence] = inboxSequence;
  const charge = place.words[place.word + R.charge] as number;
  const at = slotWord(slot);
  if (chain === CHAIN.data) words[at + A.bytes] = (words[at + A.bytes] as number) + charge;
  if (parcel.flags !== 0) setHeader(words, H.blobBytes, (words[H.blobBytes] as number) + charge);
  countLive(shard, place.entry, 1, lengthOf(place));
  globalThis.crashPoint?.("append.counted");
  recordSequence(shard, pair, key, slot, sequence);
  globalThis.crashPoint?.("append.numbered");
  Atomics.add(words, chainAt + C.depth, 1);
  globalThis.crashPoint?.("append.deep");
  sealChain(words, at, chain);
  clean(shard);
  globalThis.crashPoint?.("append.clean");
  return { status: "accepted", sequence, bell: Atomics.exchange(words, slotWord(slot) + A.bell + chain, 0) };
}

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

const busFull = (shard: Shard): Appended => ({
  status: "full",
  what: "bus",
  limit: `${shard.bytesMost} bytes a shard`,
});

/** Room for a record at the tail: rotates, and moves old messages forward where that is what it takes. */
function makeRoom(shard: Shard, bytes: number, reserved: boolean): boolean {
  if (tailRoom(shard) >= bytes) return true;
  if (rotate(shard, reserved)) {
    compactSome(shard);
    return tailRoom(shard) >= bytes || rotate(shard, reserved);
  }
  return compact(shard) && (tailRoom(shard) >= bytes || rotate(shard, reserved));
}
