/** A lease that this process holds: the right to take messages from one chain of an inbox. */
import { limits } from "../limits.ts";
import type { Message } from "../message/message.ts";
import { dropBlob } from "./blobs.ts";
import type { Delivery, Lease } from "./contract.ts";
import { type Copy, type Gathered, gather, readOldest, takeOldest } from "./inbox.ts";
import { A, type ChainNumber, SLOT_FREE, SLOT_HOSTED } from "./layout.ts";
import { freeLease } from "./leases.ts";
import { isClean, type Shard, withShard } from "./shard.ts";
import { depthOf, slotState, slotWord } from "./slots.ts";
import { vacate } from "./tenancy.ts";

export class Holding implements Lease {
  /** The slot may be freed and given to another agent while the lease is held: it is then a lease on nothing. */
  private readonly generation: number;

  constructor(
    private readonly dir: string,
    readonly shard: Shard,
    private readonly slot: number,
    private readonly chain: ChainNumber,
    private readonly decode: (copy: Copy) => Message,
  ) {
    this.generation = shard.index.words[slotWord(slot) + A.generation] as number;
  }

  read(max: number, bytesMax = limits.inboxBytes): Delivery[] {
    // Nothing to read and nothing to repair: no need of the lock.
    if (this.depth() === 0 && isClean(this.shard)) return [];
    const [copies = []] = readOldest(this.shard, () => [this.gather(max, bytesMax)]);
    return copies.map((copy) => ({ message: this.decode(copy), bytes: copy.charge }));
  }

  /** Copies the oldest, each counted as handed over once more, and says how many there should be. Under the lock. */
  gather(max: number, bytesMax: number): { readonly gathered: Gathered; readonly depth: number } {
    if (!this.isOurs()) return { gathered: { blocks: [], records: [] }, depth: 0 };
    const { shard, slot, chain } = this;
    return {
      gathered: gather(shard, slot, chain, max, bytesMax, true),
      depth: Math.min(max, depthOf(shard, slot, chain)),
    };
  }

  ack(count: number): void {
    const { shard, slot } = this;
    const blobs = withShard(shard, () => {
      if (!this.isOurs()) return [];
      const dropped = takeOldest(shard, slot, this.chain, count);
      // A slot that nobody hosts is kept for its unread messages only.
      if (slotState(shard, slot) !== SLOT_HOSTED && slotState(shard, slot) !== SLOT_FREE) vacate(shard, slot);
      return dropped;
    });
    globalThis.crashPoint?.("take.unlocked");
    for (const blob of blobs) dropBlob(this.dir, blob);
  }

  depth(): number {
    return this.isOurs() ? depthOf(this.shard, this.slot, this.chain) : 0;
  }

  release(): void {
    freeLease(this.shard, this.slot, this.chain);
  }

  private isOurs(): boolean {
    const words = this.shard.index.words;
    return (
      words[slotWord(this.slot) + A.generation] === this.generation && slotState(this.shard, this.slot) !== SLOT_FREE
    );
  }
}
