/** Looking at a whole index for what nobody has written: where an agent is not found, and where all are listed. */
import { A, H, S, SLOT_LOST, TABLE_ENTRIES } from "./layout.ts";
import { isChainSealed, isEntrySealed, isIdentitySealed, isStandingSealed } from "./seals.ts";
import { entryWord } from "./segments.ts";
import { repair, type Shard } from "./shard.ts";
import { hashOf, slotId, slotState, slotsUsed, slotWord } from "./slots.ts";

/** Whether the id and the generation of a slot are those of its tenant, or of its last one. */
export function isIdentitySound(shard: Shard, slot: number): boolean {
  const at = slotWord(slot);
  return isIdentitySealed(shard, slot, at) && shard.index.words[at + A.idHash] === hashOf(slotId(shard, slot));
}

/** How many slots and table entries are not as they were written. Under the lock, CLEAN. */
export function countFaults(shard: Shard): number {
  const { words } = shard.index;
  let faults = 0;
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    const at = slotWord(slot);
    const sound =
      isStandingSealed(words, at) &&
      isChainSealed(words, at, 0) &&
      isChainSealed(words, at, 1) &&
      (slotState(shard, slot) === SLOT_LOST || isIdentitySound(shard, slot));
    if (!sound) faults++;
  }
  let segments = 0;
  const end = entryWord(TABLE_ENTRIES);
  for (let at = entryWord(0); at < end; at += S.words) {
    if (words[at + S.number] === 0) continue;
    segments++;
    if (!isEntrySealed(words, at)) faults++;
  }
  return segments === words[H.segments] ? faults : faults + 1;
}

export const isSound = (shard: Shard): boolean => countFaults(shard) === 0;

/** Repairs the index if something in it is not as it was written. Under the lock, CLEAN. */
export function audit(shard: Shard): void {
  if (!isSound(shard)) repair(shard);
}
