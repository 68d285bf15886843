/**
 * Rights to an inbox as byte locks on the shard's `leases` file: the kernel ends them with their holder, and a thousand of
 * them cost one descriptor. Each slot owns three bytes: one per chain for whoever takes messages, one for the host.
 *
 * Bytes of one kind lie side by side, because the kernel joins neighbouring ranges of one holder: every child that a host
 * starts walks the list of its ranges, which would otherwise be as long as the team.
 */
import { limits } from "../limits.ts";
import { isByteLocked, tryLockByte, unlockByte } from "../os/lock.ts";
import type { ChainNumber } from "./layout.ts";
import type { Shard } from "./shard.ts";

const HOST = 2;

/** Where a slot's byte lies: `kind` is a chain's number or HOST. */
const byteOf = (slot: number, kind: number): number => kind * limits.agentsPerShard + slot;

/** What this open shard holds: the kernel would grant its own lock again. */
const held = new WeakMap<Shard, Set<number>>();

function take(shard: Shard, at: number): boolean {
  let mine = held.get(shard);
  if (mine === undefined) {
    mine = new Set();
    held.set(shard, mine);
  }
  if (mine.has(at) || !tryLockByte(shard.leasesFd, at)) return false;
  mine.add(at);
  return true;
}

function free(shard: Shard, at: number): void {
  if (held.get(shard)?.delete(at)) unlockByte(shard.leasesFd, at);
}

export const takeLease = (shard: Shard, slot: number, chain: ChainNumber): boolean => take(shard, byteOf(slot, chain));
export const freeLease = (shard: Shard, slot: number, chain: ChainNumber): void => free(shard, byteOf(slot, chain));

export const isLeased = (shard: Shard, slot: number, chain: ChainNumber): boolean =>
  (held.get(shard)?.has(byteOf(slot, chain)) ?? false) || isByteLocked(shard.leasesFd, byteOf(slot, chain));

/** True if nobody hosted the slot; this process does from now on. */
export const takeHosting = (shard: Shard, slot: number): boolean => take(shard, byteOf(slot, HOST));
export const freeHosting = (shard: Shard, slot: number): void => free(shard, byteOf(slot, HOST));
export const isHostedHere = (shard: Shard, slot: number): boolean => held.get(shard)?.has(byteOf(slot, HOST)) ?? false;
