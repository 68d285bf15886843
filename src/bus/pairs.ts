/**
 * Who has sent how much to whom: the last sequence number of each (sender, recipient), in a hash table on shared memory.
 * It numbers messages and recognises a retry. Under the shard's lock.
 *
 * Open addressing with linear probing. It grows by copying into a new file which the header's `pairsNumber` then names, in
 * one store; entries of recipients that have left are dropped on the way.
 */
import { limits } from "../limits.ts";
import { allocateFile, closeFile, fileSize, O, openFile, unlinkFile } from "../os/file.ts";
import { E } from "../os/libc.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";
import { A, H, PAIR_WORDS } from "./layout.ts";
import { keep } from "./quarantine.ts";
import { isPairSealed, sealPair, setHeader } from "./seals.ts";
import { clean, dirty, fail, filesOf, isClean, type Shard } from "./shard.ts";
import { isTenanted, slotsUsed, slotWord } from "./slots.ts";

export interface PairKey {
  readonly low: number;
  readonly high: number;
}

const SEED_LOW = 0x63_66_6e_31;
const SEED_HIGH = 0x63_66_6e_32;

export function pairKey(from: string, to: string): PairKey {
  const text = `${from}\0${to}`;
  // Low is never 0, which marks a free entry.
  return { low: (Bun.hash.xxHash32(text, SEED_LOW) | 1) >>> 0, high: Bun.hash.xxHash32(text, SEED_HIGH) };
}

const pairsPath = (shard: Shard, number: number): string => `${shard.dir}/pairs-${number}`;
const capacityOf = (mapping: Mapping): number => Math.floor(mapping.length / (PAIR_WORDS * 4));

function create(shard: Shard, number: number, capacity: number): Mapping | undefined {
  const path = pairsPath(shard, number);
  unlinkFile(path);
  const fd = openFile(path, O.RDWR | O.CREAT | O.EXCL);
  if (fd < 0) return undefined;
  globalThis.crashPoint?.("pairs.created");
  const bytes = capacity * PAIR_WORDS * 4;
  const mapping = allocateFile(fd, bytes) === 0 ? mapFile(fd, bytes) : undefined;
  closeFile(fd);
  globalThis.crashPoint?.("pairs.allocated");
  if (mapping === undefined) unlinkFile(path);
  return mapping;
}

/** The table, mapped; made if there is none yet. Undefined where the file system is full. */
function table(shard: Shard): Mapping | undefined {
  const number = shard.index.words[H.pairsNumber] as number;
  if (number !== 0 && shard.pairs?.number === number) return shard.pairs.mapping;
  shard.pairs?.mapping.unmap();
  shard.pairs = undefined;
  const path = pairsPath(shard, number);
  const fd = number === 0 ? -E.NOENT : openFile(path, O.RDWR);
  // A table that cannot be opened for now must not be taken for one that is gone: it would forget what was sent.
  if (fd < 0 && fd !== -E.NOENT) fail(`open ${path}`, -fd);
  const bytes = fd < 0 ? 0 : fileSize(fd);
  const isTable = bytes >= PAIR_WORDS * 4;
  let mapping = isTable ? mapFile(fd, bytes & ~7) : undefined;
  if (fd >= 0) closeFile(fd);
  if (isTable && mapping === undefined) fail(`map ${path}`, E.NOMEM);
  if (mapping === undefined) {
    mapping = create(shard, number + 1, limits.pairsInitial);
    if (mapping === undefined) return undefined;
    globalThis.crashPoint?.("pairs.first");
    const alone = isClean(shard);
    if (alone) dirty(shard);
    setHeader(shard.index.words, H.pairsUsed, 0);
    setHeader(shard.index.words, H.pairsNumber, number + 1);
    // What its maker left half made, and a repair without room for another had to name.
    if (fd >= 0) unlinkFile(path);
    if (alone) clean(shard);
  }
  shard.pairs = { number: shard.index.words[H.pairsNumber] as number, mapping, counted: false };
  return mapping;
}

/** What `findPair` answers where an entry on the way is not what was written. */
export const PAIRS_DAMAGED = -2;

/** Word index of the key's entry, or of the free entry where it would go; -1 if there is neither, or PAIRS_DAMAGED. */
function probe(words: Uint32Array, capacity: number, key: PairKey): number {
  // The low bit is always set: it says nothing about where.
  for (let step = 0, at = (key.low >>> 1) % capacity; step < capacity; step++, at = (at + 1) % capacity) {
    const word = at * PAIR_WORDS;
    if (words[word] === 0) return word;
    // A damaged entry may be the one that is sought.
    if (!isPairSealed(words, word)) return PAIRS_DAMAGED;
    if (words[word] === key.low && words[word + 1] === key.high) return word;
  }
  return -1;
}

/**
 * Where the pair's entry is or would go: a word of `shard.pairs`, for the functions below; -1 or PAIRS_DAMAGED. Undefined
 * where the file system is full. Valid until the table grows.
 */
export function findPair(shard: Shard, key: PairKey): number | undefined {
  const mapping = table(shard);
  if (mapping === undefined) return undefined;
  const pair = probe(mapping.words, capacityOf(mapping), key);
  const pairs = shard.pairs as NonNullable<Shard["pairs"]>;
  // An entry that was overwritten with zeros looks like one that never was: counted before the first pair is taken for new.
  if (!pairs.counted && pair >= 0 && mapping.words[pair] === 0) {
    if (countPairs(mapping) !== shard.index.words[H.pairsUsed]) return PAIRS_DAMAGED;
    pairs.counted = true;
  }
  return pair;
}

/** Whether every entry is as it was written. Under the lock. */
export function arePairsSound(shard: Shard): boolean {
  if (shard.index.words[H.pairsNumber] === 0) return true;
  const mapping = table(shard);
  if (mapping === undefined) return true; // There was none, and is no room for one.
  for (let word = 0; word + PAIR_WORDS <= mapping.words.length; word += PAIR_WORDS) {
    if (mapping.words[word] !== 0 && !isPairSealed(mapping.words, word)) return false;
  }
  return countPairs(mapping) === shard.index.words[H.pairsUsed];
}

function countPairs(mapping: Mapping): number {
  let used = 0;
  for (let word = 0; word + PAIR_WORDS <= mapping.words.length; word += PAIR_WORDS)
    if (mapping.words[word] !== 0) used++;
  return used;
}

const entriesOf = (shard: Shard): Uint32Array => (shard.pairs as { mapping: Mapping }).mapping.words;

/** The last sequence number that the pair used; 0 if none. */
export function lastSequence(shard: Shard, pair: number): number {
  const words = entriesOf(shard);
  return pair < 0 || words[pair] === 0 ? 0 : (words[pair + 2] as number);
}

/** Makes sure that the pair has room; where it then is. Undefined at the bound or where the file system is full. */
export function reservePair(shard: Shard, pair: number, key: PairKey): number | undefined {
  const { mapping } = shard.pairs as { mapping: Mapping };
  if (pair >= 0 && mapping.words[pair] !== 0) return pair;
  if ((shard.index.words[H.pairsUsed] as number) + 1 <= (capacityOf(mapping) * 3) / 4) return pair;
  return grow(shard, mapping) ? findPair(shard, key) : undefined;
}

function grow(shard: Shard, old: Mapping): boolean {
  return rewrite(shard, old, (word) => recipientIsHere(shard, old.words[word + 3] as number));
}

/** Copies the entries at the words that `isKept` allows into a table with room for as many again, and names that one. */
function rewrite(shard: Shard, old: Mapping, isKept: (word: number) => boolean): boolean {
  const kept: number[] = [];
  for (let word = 0; word + PAIR_WORDS <= old.words.length; word += PAIR_WORDS) {
    if (old.words[word] !== 0 && isKept(word)) kept.push(word);
  }
  let capacity = limits.pairsInitial;
  while (capacity < kept.length * 2) capacity *= 2;
  if (capacity > limits.pairsPerShard) return false;
  const number = (shard.index.words[H.pairsNumber] as number) + 1;
  const mapping = create(shard, number, capacity);
  if (mapping === undefined) return false;
  for (const word of kept) {
    const at = probe(mapping.words, capacity, { low: old.words[word] as number, high: old.words[word + 1] as number });
    mapping.words.set(old.words.subarray(word, word + PAIR_WORDS), at);
  }
  globalThis.crashPoint?.("pairs.copied");
  setHeader(shard.index.words, H.pairsUsed, kept.length);
  // Named before the old one is removed: a death between the two would else leave none.
  setHeader(shard.index.words, H.pairsNumber, number);
  globalThis.crashPoint?.("pairs.named");
  unlinkFile(pairsPath(shard, number - 1));
  old.unmap();
  shard.pairs = { number, mapping, counted: true };
  globalThis.crashPoint?.("pairs.grown");
  return true;
}

/** An entry's stamp: the recipient's slot and the low bits of its generation. */
const stampOf = (shard: Shard, slot: number): number =>
  ((slot << 16) | ((shard.index.words[slotWord(slot) + A.generation] as number) & 0xffff)) >>> 0;

function recipientIsHere(shard: Shard, stamp: number): boolean {
  const slot = stamp >>> 16;
  return slot < slotsUsed(shard) && isTenanted(shard, slot) && stampOf(shard, slot) === stamp;
}

/** Raises the pair's last sequence number to `sequence`. Room was made by `reservePair`. */
export function recordSequence(shard: Shard, pair: number, key: PairKey, slot: number, sequence: number): void {
  const words = entriesOf(shard);
  if (words[pair] === 0) {
    words[pair + 1] = key.high;
    words[pair + 2] = sequence;
    words[pair + 3] = stampOf(shard, slot);
    globalThis.crashPoint?.("pairs.half");
    Atomics.store(words, pair, key.low);
    sealPair(words, pair);
    setHeader(shard.index.words, H.pairsUsed, (shard.index.words[H.pairsUsed] as number) + 1);
  } else if ((words[pair + 2] as number) < sequence) {
    // The recipient may have left and come back since: without its new stamp the entry would be dropped when the table grows.
    words[pair + 3] = stampOf(shard, slot);
    words[pair + 2] = sequence;
    sealPair(words, pair);
  }
}

/**
 * Makes the table whole: entries that are not as they were written are dropped, after a death half-way as after damage. The
 * records that follow raise the numbers of those pairs again, as far as they are still there.
 *
 * @returns how many entries were damaged or are missing; after a death (`died`) those are its doing.
 */
export function mendPairs(shard: Shard, died: boolean): number {
  const { words } = shard.index;
  shard.pairs?.mapping.unmap();
  shard.pairs = undefined;
  const numbers = filesOf(shard)
    .map((name) => /^pairs-(\d{1,9})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number);
  const named = words[H.pairsNumber] as number;
  const number = numbers.includes(named) ? named : Math.max(0, ...numbers);
  words[H.pairsNumber] = number;
  const mapping = number === 0 ? undefined : table(shard);
  // A table whose maker died before it had its room has given way to a fresh one.
  for (const other of numbers) if (other !== words[H.pairsNumber]) unlinkFile(pairsPath(shard, other));
  if (mapping === undefined) {
    words[H.pairsUsed] = 0;
    return 0;
  }
  const expected = words[H.pairsUsed] as number;
  const isWhole = (word: number): boolean => isPairSealed(mapping.words, word);
  let broken = 0;
  for (let word = 0; word + PAIR_WORDS <= mapping.words.length; word += PAIR_WORDS) {
    if (mapping.words[word] !== 0 && !isWhole(word)) broken++;
  }
  const found = countPairs(mapping);
  words[H.pairsUsed] = found;
  if (broken === 0 && (found === expected || died)) return 0;
  if (!died) keep(shard, `pairs-${number}`, mapping.bytes);
  // Where there is no room for another table: what a death left is whole but for its seal; this one is emptied of what was
  // damaged, which may hide a few of the others.
  if (!rewrite(shard, mapping, isWhole)) settleIn(mapping, isWhole, died);
  words[H.pairsUsed] = countPairs((shard.pairs as unknown as { mapping: Mapping }).mapping);
  return died ? 0 : Math.max(1, broken);
}

function settleIn({ words }: Mapping, isWhole: (word: number) => boolean, died: boolean): void {
  for (let word = 0; word + PAIR_WORDS <= words.length; word += PAIR_WORDS) {
    if (words[word] === 0 || isWhole(word)) continue;
    if (died) sealPair(words, word);
    else words.fill(0, word, word + PAIR_WORDS);
  }
}
