/**
 * What lies where on the shared memory: every offset of the bus's binary files, in one place. Numbers are little-endian
 * 32-bit words unless said otherwise; "word n" is at byte 4n. A change here is a new `LAYOUT`.
 *
 * index      +0      header, words H.*                                          4,096 bytes
 *            +4096   segment table, 5 words an entry: S.*                       12,288 bytes
 *            +16384  slots, 48 words each: A.*, id text from byte 128           grows, never shrinks
 *
 * segment-n  +0      header: magic, layout, number, table entry                 32 bytes
 *            +32     records, one after the other, 8-byte aligned, then zeros to the end
 *
 * record     word 0  commit   0 nothing here yet · IN_PROGRESS | bytes · bytes = committed
 *            word 1  checksum: crc32 of the body, plus the sum of words 4 to 13 as seals have it
 *            word 2  next     position of the inbox's next record (mutable)
 *            word 3  state    bits 0–15 all set: taken · bits 16–30 attempts · bit 31: records before it are lost (mutable)
 *            word 4  slot << 1 | chain
 *            word 5  slot's generation: a record of an earlier tenant of the slot is void
 *            word 6  inbox sequence
 *            word 7  sender sequence (per sender and recipient)
 *            word 8  key of the (sender, recipient) pair, two words
 *            word 10 body bytes
 *            word 11 flags    bit 0: the body names a blob
 *            word 12 charge   bytes that count against the inbox (the blob's, if there is one)
 *            word 13 zero
 *            word 14 body     JSON text, UTF-8
 *
 * pairs-n    5 words an entry, open addressing: key low (0 = free), key high, last sender sequence, slot << 16 | low bits
 *            of the slot's generation, seal
 *
 * What no checksum of a record covers is sealed (`seals.ts`), so that a changed byte is found and not believed.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";

export const MAGIC_INDEX = 0x494e_4643; // "CFNI"
export const MAGIC_SEGMENT = 0x534e_4643; // "CFNS"
export const LAYOUT = 3;

/** Words of the index header. */
export const H = {
  magic: 0,
  layout: 1,
  /** Not zero while a mutation is under way: whoever finds it so holding the lock rebuilds the index first. */
  dirty: 2,
  holderPid: 3,
  /** Number of the retired segment that is kept, zeroed, as the file `recycled`; 0 for none. */
  recycled: 4,
  slotCapacity: 5,
  slotsUsed: 6,
  /** Table entry + 1 of the segment that is appended to; 0 for none. */
  tail: 7,
  nextNumber: 8,
  pairsNumber: 9,
  pairsUsed: 10,
  blobBytes: 11,
  segments: 12,
  damaged: 13,
  repairs: 14,
  /** Of all words before it but `dirty` and `holderPid`. */
  seal: 15,
  /** How often the lock has been taken, not sealed: while it rises, nobody is stopped holding the lock. */
  turns: 16,
  // Counts for whoever looks on (`counters.ts`), not sealed: nothing is decided by them.
  refusedInboxFull: 17,
  refusedBusFull: 18,
  refusedRate: 19,
  accepted: 20,
  acceptedHigh: 21,
  // The limit of the rate (`rates.ts`), not sealed: it is believed only while it is fresh.
  /** Data messages a second that a sender may send; 0 for as many as it likes. */
  permittedPerSecond: 22,
  /** When that was said: the low word of the system's milliseconds. */
  permittedAt: 23,
  /** CLOSED once data messages are refused: the run is ending (`closing.ts`). Not sealed, but no damage makes it that. */
  closing: 32,
} as const;

/** What `closing` then is. */
export const CLOSED = 0xc105_ed01;

/** Values of `dirty`: true; under change, or left so by a death; known to be damaged. */
export const CLEAN = 0;
export const CHANGING = 1;
export const DAMAGED = 2;

const TABLE_BYTE = 4096;
export const TABLE_WORD = TABLE_BYTE / 4;
export const TABLE_ENTRIES = limits.segmentsPerShard;
/** Words of a segment table entry. */
export const S = { words: 5, number: 0, used: 1, live: 2, liveBytes: 3, seal: 4 } as const;

const TABLE_BYTES = 12_288;
export const SLOTS_BYTE = TABLE_BYTE + TABLE_BYTES;
export const SLOT_BYTES = 192;
export const SLOT_ID_BYTE = 128;

/** Words of a slot. */
export const A = {
  state: 0,
  generation: 1,
  idHash: 2,
  role: 3,
  /** Hash of the team's coordinator id; 0 for none. */
  team: 4,
  incarnation: 5,
  hostPid: 6,
  /** Bells to ring, one per chain (index with the chain's number); taken down by whoever rings. */
  bell: 8,
  bytes: 10,
  /** First word of the data chain; the control chain follows. */
  chain: 12,
  /** Seal of who the tenant is: generation and id. */
  identity: 24,
  /** Seal of how it stands: state, role, team, incarnation, host. */
  standing: 25,
} as const;

/**
 * Words of a chain within its slot. `depth` is what readers may look at without the lock; `taken` is the inbox sequence up
 * to which everything has been taken. The sequence goes on from one tenant of the slot to the next: so the sum over all slots is
 * how many messages the shard has ever accepted, and a death can take nothing from it, nor damage that a record contradicts.
 */
export const C = { words: 6, head: 0, tail: 1, depth: 2, sequence: 3, taken: 4, seal: 5 } as const;

export const SLOT_FREE = 0;
export const SLOT_HOSTED = 1;
/** Nobody hosts it, but its inbox still holds messages. */
export const SLOT_AWAY = 2;
/** It was damaged and nothing says any more whose it was: never used again. */
export const SLOT_LOST = 3;

export const SEGMENT_HEADER_BYTES = 32;

/** Words of a record. */
export const R = {
  commit: 0,
  checksum: 1,
  next: 2,
  state: 3,
  inbox: 4,
  generation: 5,
  inboxSequence: 6,
  senderSequence: 7,
  keyLow: 8,
  keyHigh: 9,
  bodyBytes: 10,
  flags: 11,
  charge: 12,
  zero: 13,
} as const;

export const RECORD_HEADER_BYTES = 56;
export const IN_PROGRESS = 0x8000_0000;
/** Sixteen bits for one: what is left of it after damage to a byte still says which it was. */
export const TAKEN = 0xffff;
export const ATTEMPT = 0x1_0000;
export const ATTEMPTS_MOST = 0x7fff;
/** The record before it in its inbox is not the one that was sent before it: that was damaged. */
export const FOLLOWS_LOSS = 0x8000_0000;
export const FLAG_BLOB = 1;
/** The inbox word of a record that stands where damaged bytes were: no slot has this number. */
export const NOBODY = 0xffff_fffe;

export const PAIR_WORDS = 5;
/** Word of an entry that holds its seal. */
export const PAIR_SEAL = 4;

/** Chains by number: the low bit of a record's inbox word. */
export const CHAIN = { data: 0, control: 1 } as const;
export type ChainNumber = 0 | 1;

/**
 * A position names a record: table entry + 1, then the offset in the segment in 8-byte units. An entry is given to a new
 * segment only when no chain leads into the old one, so a position on a chain is never ambiguous. 0 is "none".
 */
const OFFSET_BITS = 17;

export function positionOf(entry: number, offset: number): number {
  return (((entry + 1) << OFFSET_BITS) | (offset >>> 3)) >>> 0;
}

export const entryOf = (position: number): number => (position >>> OFFSET_BITS) - 1;
export const offsetOf = (position: number): number => (position & ((1 << OFFSET_BITS) - 1)) << 3;

/** A record's whole length, header and padding included. */
export const recordBytes = (bodyBytes: number): number => (RECORD_HEADER_BYTES + bodyBytes + 7) & ~7;

assert(A.state === 0 && A.generation === 1, "a free slot's other words can be cleared in one piece");
assert(SLOTS_BYTE % 4096 === 0, "slots begin on a page");
assert(TABLE_ENTRIES < 1 << (32 - OFFSET_BITS - 1), "a table entry fits a position");
assert(limits.segmentBytes >>> 3 <= 1 << OFFSET_BITS, "an offset fits a position");
assert(TABLE_ENTRIES * S.words * 4 <= TABLE_BYTES, "the segment table fits its place");
assert(A.chain + 2 * C.words <= A.identity, "a slot's chains end before its seals");
assert(A.standing < SLOT_ID_BYTE / 4, "a slot's words end before its id");
assert(SLOT_ID_BYTE + limits.agentIdChars + 1 <= SLOT_BYTES, "an id fits a slot");

/** The directory of a bus's n-th shard, below `shards`. */
export const shardName = (n: number): string => String(n).padStart(2, "0");
