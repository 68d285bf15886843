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
import { listDirectory } from "../os/tree.ts";
import { A, H, PAIR_WORDS, SLOT_FREE } from "./layout.ts";
import { fail, type Shard } from "./shard.ts";
import { slotState, slotsUsed, slotWord } from "./slots.ts";

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
const capacityOf = (mapping: Mapping): number => mapping.length / (PAIR_WORDS * 4);

function create(shard: Shard, number: number, capacity: number): Mapping | undefined {
  const path = pairsPath(shard, number);
  unlinkFile(path);
  const fd = openFile(path, O.RDWR | O.CREAT | O.EXCL);
  if (fd < 0) return undefined;
  const bytes = capacity * PAIR_WORDS * 4;
  const mapping = allocateFile(fd, bytes) === 0 ? mapFile(fd, bytes) : undefined;
  closeFile(fd);
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
  let mapping = isTable ? mapFile(fd, bytes) : undefined;
  if (fd >= 0) closeFile(fd);
  if (isTable && mapping === undefined) fail(`map ${path}`, E.NOMEM);
  if (mapping === undefined) {
    mapping = create(shard, number + 1, limits.pairsInitial);
    if (mapping === undefined) return undefined;
    shard.index.words[H.pairsUsed] = 0;
    Atomics.store(shard.index.words, H.pairsNumber, number + 1);
  }
  shard.pairs = { number: shard.index.words[H.pairsNumber] as number, mapping };
  return mapping;
}

/** Word index of the key's entry, or of the free entry where it would go; -1 if there is neither. */
function probe(words: Uint32Array, capacity: number, key: PairKey): number {
  // The low bit is always set: it says nothing about where.
  for (let step = 0, at = (key.low >>> 1) % capacity; step < capacity; step++, at = (at + 1) % capacity) {
    const word = at * PAIR_WORDS;
    if (words[word] === 0 || (words[word] === key.low && words[word + 1] === key.high)) return word;
  }
  return -1;
}

/**
 * Where the pair's entry is or would go: a word of `shard.pairs`, for the functions below. Undefined where the file system
 * is full. Valid until the table grows.
 */
export function findPair(shard: Shard, key: PairKey): number | undefined {
  const mapping = table(shard);
  return mapping && probe(mapping.words, capacityOf(mapping), key);
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
  const kept: number[] = [];
  for (let word = 0; word < old.words.length; word += PAIR_WORDS) {
    if (old.words[word] !== 0 && recipientIsHere(shard, old.words[word + 3] as number)) kept.push(word);
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
  shard.pairs = { number, mapping };
  shard.index.words[H.pairsUsed] = kept.length;
  Atomics.store(shard.index.words, H.pairsNumber, number);
  // Only now: after a death before that store the old table is the one that knows.
  unlinkFile(pairsPath(shard, number - 1));
  old.unmap();
  return true;
}

/** An entry's stamp: the recipient's slot and the low bits of its generation. */
const stampOf = (shard: Shard, slot: number): number =>
  ((slot << 16) | ((shard.index.words[slotWord(slot) + A.generation] as number) & 0xffff)) >>> 0;

function recipientIsHere(shard: Shard, stamp: number): boolean {
  const slot = stamp >>> 16;
  return slot < slotsUsed(shard) && slotState(shard, slot) !== SLOT_FREE && stampOf(shard, slot) === stamp;
}

/** Raises the pair's last sequence number to `sequence`. Room was made by `reservePair`. */
export function recordSequence(shard: Shard, pair: number, key: PairKey, slot: number, sequence: number): void {
  const words = entriesOf(shard);
  if (words[pair] === 0) {
    words[pair + 1] = key.high;
    words[pair + 2] = sequence;
    words[pair + 3] = stampOf(shard, slot);
    Atomics.store(words, pair, key.low);
    shard.index.words[H.pairsUsed] = (shard.index.words[H.pairsUsed] as number) + 1;
  } else if ((words[pair + 2] as number) < sequence) {
    // The recipient may have left and come back since: without its new stamp the entry would be dropped when the table grows.
    words[pair + 3] = stampOf(shard, slot);
    words[pair + 2] = sequence;
  }
}

/** Counts the entries anew, after a death on the way of `recordSequence`, and removes tables that a death has left over. */
export function recountPairs(shard: Shard): void {
  const mapping = table(shard);
  const path = pairsPath(shard, shard.index.words[H.pairsNumber] as number);
  for (const name of listDirectory(shard.dir)) {
    const other = `${shard.dir}/${name}`;
    if (name.startsWith("pairs-") && other !== path) unlinkFile(other);
  }
  let used = 0;
  if (mapping !== undefined)
    for (let word = 0; word < mapping.words.length; word += PAIR_WORDS) if (mapping.words[word] !== 0) used++;
  shard.index.words[H.pairsUsed] = used;
}
