/**
 * Seals: a word beside the words that it guards, so that damage to the index or the pairs table is found where those words
 * are used, and not believed. Records have a checksum of their own, of which such a sum is a part.
 *
 * A seal is a constant plus the sum of the words, each mixed and times an odd number of its own: a change of any one word
 * changes it, and a change of several goes unseen about once in 2^32. So it costs one multiplication a word to check. Words
 * are checked before they are changed and sealed anew, or the change alone is added (`setHeader`): an update does not make
 * damage valid. The constant is not zero: a range that was overwritten with zeros is not sealed.
 *
 * Seals hold while `dirty` is CLEAN. A death in the middle of a change leaves some untrue, which the rebuild expects.
 */
import { assert } from "../assert.ts";
import { A, C, type ChainNumber, H, PAIR_SEAL, R, S, SLOT_BYTES, SLOT_ID_BYTE, SLOTS_BYTE } from "./layout.ts";
import type { Shard } from "./shard.ts";

const CONSTANT = 0x5ea1_5ea1;

/**
 * What a word adds. Its upper half is mixed into the lower one first: else the change of a top bit would be one of the sum's
 * top bit alone, which the change of any other top bit, or of the seal's, takes back.
 */
const term = (word: number, weight: number): number => Math.imul(word ^ (word >>> 16), weight);

/** The odd number of the n-th word. */
const weight = (n: number): number => Math.imul(n + 1, 0x9e37_79b1) | 1;

const WEIGHT_0 = weight(0);
const WEIGHT_1 = weight(1);
const WEIGHT_2 = weight(2);
const WEIGHT_3 = weight(3);
const WEIGHT_4 = weight(4);
const WEIGHT_5 = weight(5);
const WEIGHT_6 = weight(6);
const WEIGHT_7 = weight(7);
const WEIGHT_8 = weight(8);
const WEIGHT_9 = weight(9);
const WEIGHT_10 = weight(10);
const WEIGHT_11 = weight(11);
const WEIGHT_12 = weight(12);

/** Of four words that lie side by side. Sums are signed, as all whole-number arithmetic that is fast. */
const sumOfFour = (words: Uint32Array, at: number): number =>
  (CONSTANT +
    term(words[at] as number, WEIGHT_0) +
    term(words[at + 1] as number, WEIGHT_1) +
    term(words[at + 2] as number, WEIGHT_2) +
    term(words[at + 3] as number, WEIGHT_3)) |
  0;

/** Word by word, not in a loop: it is part of every send. All but `dirty` and `holderPid`, which change by themselves. */
const headerSum = (words: Uint32Array): number =>
  (sumOfFour(words, H.recycled) +
    term(words[H.nextNumber] as number, WEIGHT_4) +
    term(words[H.pairsNumber] as number, WEIGHT_5) +
    term(words[H.pairsUsed] as number, WEIGHT_6) +
    term(words[H.blobBytes] as number, WEIGHT_7) +
    term(words[H.segments] as number, WEIGHT_8) +
    term(words[H.damaged] as number, WEIGHT_9) +
    term(words[H.repairs] as number, WEIGHT_10) +
    term(words[H.magic] as number, WEIGHT_11) +
    term(words[H.layout] as number, WEIGHT_12)) |
  0;

assert(H.tail - H.recycled === 3 && H.seal - H.tail === 8, "the words of the header are weighed by their order");

export const isHeaderSealed = (words: Uint32Array): boolean => ((words[H.seal] as number) | 0) === headerSum(words);

export function sealHeader(words: Uint32Array): void {
  words[H.seal] = headerSum(words);
}

/** Changes a sealed word of the header. */
export function setHeader(words: Uint32Array, at: number, value: number): void {
  const before = Atomics.exchange(words, at, value);
  words[H.seal] =
    ((words[H.seal] as number) | 0) + term(value, weight(at - H.recycled)) - term(before, weight(at - H.recycled));
}

/** `at` is the entry's first word in the segment table. */
export const isEntrySealed = (words: Uint32Array, at: number): boolean =>
  ((words[at + S.seal] as number) | 0) === sumOfFour(words, at);

export function sealEntry(words: Uint32Array, at: number): void {
  words[at + S.seal] = sumOfFour(words, at);
}

/** `at` is the first word of the slot. The generation is sealed with each chain: a record is written by it. */
function chainSum(words: Uint32Array, at: number, chain: ChainNumber): number {
  const from = at + A.chain + chain * C.words;
  return (
    (sumOfFour(words, from) +
      term(words[from + C.taken] as number, WEIGHT_4) +
      term(words[at + A.generation] as number, WEIGHT_5) +
      (chain === 0 ? term(words[at + A.bytes] as number, WEIGHT_6) : 0)) |
    0
  );
}

export const isChainSealed = (words: Uint32Array, at: number, chain: ChainNumber): boolean =>
  ((words[at + A.chain + chain * C.words + C.seal] as number) | 0) === chainSum(words, at, chain);

export function sealChain(words: Uint32Array, at: number, chain: ChainNumber): void {
  words[at + A.chain + chain * C.words + C.seal] = chainSum(words, at, chain);
}

/** Of the words of a record's header that do not change; `at` is the first of them. Its checksum is this and the body's. */
export const recordSum = (words: Uint32Array, at: number): number =>
  (sumOfFour(words, at) +
    term(words[at + 4] as number, WEIGHT_4) +
    term(words[at + 5] as number, WEIGHT_5) +
    term(words[at + 6] as number, WEIGHT_6) +
    term(words[at + 7] as number, WEIGHT_7) +
    term(words[at + 8] as number, WEIGHT_8) +
    term(words[at + 9] as number, WEIGHT_9)) |
  0;

assert(R.zero - R.inbox === 9, "the sum of a record is of ten words");

const standingSum = (words: Uint32Array, at: number): number =>
  (CONSTANT +
    term(words[at + A.state] as number, WEIGHT_0) +
    term(words[at + A.role] as number, WEIGHT_1) +
    term(words[at + A.team] as number, WEIGHT_2) +
    term(words[at + A.incarnation] as number, WEIGHT_3) +
    term(words[at + A.hostPid] as number, WEIGHT_4)) |
  0;

export const isStandingSealed = (words: Uint32Array, at: number): boolean =>
  ((words[at + A.standing] as number) | 0) === standingSum(words, at);

export function sealStanding(words: Uint32Array, at: number): void {
  words[at + A.standing] = standingSum(words, at);
}

/** Of a generation and an id's bytes as they lie in a slot, its length first. */
function identitySum(generation: number, id: Uint8Array): number {
  return (Bun.hash.crc32(id) + term(generation, WEIGHT_1) + CONSTANT) >>> 0;
}

const idBytes = (shard: Shard, slot: number): Uint8Array => {
  const at = SLOTS_BYTE + slot * SLOT_BYTES;
  return shard.index.bytes.subarray(at + SLOT_ID_BYTE, at + SLOT_BYTES);
};

/** `at` is the first word of `slot`. */
export const isIdentitySealed = (shard: Shard, slot: number, at: number): boolean =>
  shard.index.words[at + A.identity] ===
  identitySum(shard.index.words[at + A.generation] as number, idBytes(shard, slot));

export function sealIdentity(shard: Shard, slot: number, at: number): void {
  const { words } = shard.index;
  words[at + A.identity] = identitySum(words[at + A.generation] as number, idBytes(shard, slot));
}

/** What the generation of a slot was, if its id and its seal are right: the sum, solved for it. */
export function sealedGeneration(shard: Shard, slot: number, at: number): number {
  const product = (shard.index.words[at + A.identity] as number) - Bun.hash.crc32(idBytes(shard, slot)) - CONSTANT;
  // The inverse of an odd number modulo 2^32, by Newton: each step doubles the bits that are right, of three to begin with.
  let inverse = WEIGHT_1;
  for (let bits = 3; bits < 32; bits *= 2) inverse = Math.imul(inverse, 2 - Math.imul(WEIGHT_1, inverse));
  const mixed = Math.imul(product, inverse) >>> 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** `at` is the entry's first word in the pairs table. */
export const isPairSealed = (words: Uint32Array, at: number): boolean =>
  ((words[at + PAIR_SEAL] as number) | 0) === sumOfFour(words, at);

export function sealPair(words: Uint32Array, at: number): void {
  words[at + PAIR_SEAL] = sumOfFour(words, at);
}
