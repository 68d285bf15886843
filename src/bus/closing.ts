/**
 * The end of a bus's data messages. A run that ends takes every inbox to its last message, and then removes the bus: what were
 * accepted in between would be lost. So a word in each shard's header is set first, under its lock, by which every sender is
 * refused from then on, those too that have the shard mapped and go on after the bus has been removed. What has been accepted when
 * the word is set is all there will ever be.
 */
import { audit } from "./audit.ts";
import { C, CHAIN, CLOSED, H } from "./layout.ts";
import { freeHosting, isHostedHere, takeHosting } from "./leases.ts";
import type { Shard } from "./shard.ts";
import { chainWord, depthOf, findSlot, isTenanted, slotId, slotsUsed } from "./slots.ts";

/** Closes a shard, and adds up what is there. Under the lock. */
export function closeInboxesOf(shard: Shard): { readonly accepted: number; readonly unread: string[] } {
  audit(shard);
  Atomics.store(shard.index.words, H.closing, CLOSED);
  const unread: string[] = [];
  let accepted = 0;
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    accepted += shard.index.words[chainWord(slot, CHAIN.data) + C.sequence] as number;
    if (isTenanted(shard, slot) && depthOf(shard, slot, CHAIN.data) > 0) unread.push(slotId(shard, slot));
  }
  return { accepted, unread };
}

/** Whether a living process other than this one hosts the id. Under the lock. */
export function isHostedElsewhere(shard: Shard, id: string): boolean {
  const slot = findSlot(shard, id);
  if (slot < 0 || !isTenanted(shard, slot) || isHostedHere(shard, slot)) return false;
  if (!takeHosting(shard, slot)) return true;
  freeHosting(shard, slot);
  return false;
}
