/** A lease that this process holds: the right to take messages from one chain of an inbox. */
import { limits } from "../limits.ts";
import type { Message } from "../message/message.ts";
import { blobName, dropBlob } from "./blobs.ts";
import type { Delivery, Lease } from "./contract.ts";
import { type Copy, type Gathered, gather, readOldest, takeOldest } from "./inbox.ts";
import { A, type ChainNumber, H, SLOT_FREE, SLOT_HOSTED } from "./layout.ts";
import { freeLease } from "./leases.ts";
import { keepFile } from "./quarantine.ts";
import { isChainSealed, isStandingSealed, setHeader } from "./seals.ts";
import { clean, dirty, isClean, repair, type Shard, withShard } from "./shard.ts";
import { depthOf, slotState, slotWord } from "./slots.ts";
import { vacate } from "./tenancy.ts";

export class Holding implements Lease {
  /** The slot may be freed and given to another agent while the lease is held: it is then a lease on nothing. */
  private readonly generation: number;
  /** Inbox sequences of what was read last and not acknowledged since: an acknowledgement takes none beyond it. */
  private handed: number[] = [];
  private acknowledged = 0;

  constructor(
    private readonly dir: string,
    readonly shard: Shard,
    private readonly slot: number,
    private readonly chain: ChainNumber,
    private readonly decode: (copy: Copy) => Message | undefined,
  ) {
    this.generation = shard.index.words[slotWord(slot) + A.generation] as number;
  }

  read(max: number, bytesMax = limits.inboxBytes): Delivery[] {
    // As often as there may be messages whose stored bodies are gone.
    for (let dropped = 0; dropped <= limits.controlMessages; dropped++) {
      // Nothing to read and nothing to repair: no need of the lock.
      if (this.depth() === 0 && isClean(this.shard)) return [];
      const [copies = []] = readOldest(this.shard, () => [this.gather(max, bytesMax)]);
      const deliveries = this.accept(copies);
      if (deliveries !== undefined) return deliveries;
    }
    return [];
  }

  /**
   * What has been copied, as messages: up to the first whose stored body is missing or damaged. Undefined if that is the
   * first of all: it has been taken off the bus then, its file kept for a person, and the next may be read.
   */
  accept(copies: readonly Copy[]): Delivery[] | undefined {
    const deliveries: Delivery[] = [];
    this.handed = [];
    this.acknowledged = 0;
    for (const copy of copies) {
      const message = this.decode(copy);
      if (message === undefined) {
        if (deliveries.length > 0) break;
        this.drop(copy);
        return undefined;
      }
      deliveries.push({ message, bytes: copy.charge });
      this.handed.push(copy.inboxSequence);
    }
    return deliveries;
  }

  private drop(copy: Copy): void {
    const { shard, slot } = this;
    withShard(shard, () => {
      if (!this.isOurs()) return;
      takeOldest(shard, slot, this.chain, 1, copy.inboxSequence);
      const name = typeof copy.body === "string" ? undefined : blobName(copy.body);
      if (name !== undefined) keepFile(shard, `blob-${name}`, `${this.dir}/blobs/${name}`);
      dirty(shard);
      setHeader(shard.index.words, H.damaged, (shard.index.words[H.damaged] as number) + 1);
      clean(shard);
    });
  }

  /** Copies the oldest, each counted as handed over once more, and says how many there should be. Under the lock. */
  gather(max: number, bytesMax: number): { readonly gathered: Gathered; readonly depth: number } {
    const { shard, slot, chain } = this;
    this.mend();
    if (!this.isOurs()) return { gathered: { blocks: [], records: [], isSound: true }, depth: 0 };
    return {
      gathered: gather(shard, slot, chain, max, bytesMax, true),
      depth: Math.min(max, depthOf(shard, slot, chain)),
    };
  }

  ack(count: number): void {
    dropTaken(
      this.dir,
      withShard(this.shard, () => this.take(count)),
    );
  }

  ackAndRead(count: number, max: number, bytesMax = limits.inboxBytes): Delivery[] {
    let left = count;
    let blobs: Uint8Array[] = [];
    const [copies = []] = readOldest(this.shard, () => {
      // It may be asked to gather again, after a repair.
      if (left > 0) blobs = this.take(left);
      left = 0;
      return [this.gather(max, bytesMax)];
    });
    dropTaken(this.dir, blobs);
    return this.accept(copies) ?? this.read(max, bytesMax);
  }

  /** Takes the `count` oldest off the bus. Under the lock; returns what names blobs that are to be dropped when it is free. */
  take(count: number): Uint8Array[] {
    const { shard, slot } = this;
    this.mend();
    if (!this.isOurs()) return [];
    const blobs = takeOldest(shard, slot, this.chain, count, this.handed[this.acknowledged + count - 1]);
    this.acknowledged += count;
    // A slot that nobody hosts is kept for its unread messages only.
    if (slotState(shard, slot) !== SLOT_HOSTED && slotState(shard, slot) !== SLOT_FREE) vacate(shard, slot);
    return blobs;
  }

  depth(): number {
    const { shard, slot, chain } = this;
    // Without the lock a chain under change is as good as unsealed: that is looked at again, holding it.
    if (isClean(shard) && !isChainSealed(shard.index.words, slotWord(slot), chain)) {
      withShard(shard, () => this.mend());
    }
    return this.isOurs() ? depthOf(shard, slot, chain) : 0;
  }

  release(): void {
    freeLease(this.shard, this.slot, this.chain);
  }

  /**
   * Under the lock, before anything is believed: the generation by which we know our slot is sealed with its chains, and
   * whether it has a host, without which it is given up once it is empty, with its standing.
   */
  private mend(): void {
    const { words } = this.shard.index;
    const at = slotWord(this.slot);
    if (!isChainSealed(words, at, this.chain) || !isStandingSealed(words, at)) repair(this.shard);
  }

  private isOurs(): boolean {
    const words = this.shard.index.words;
    return (
      words[slotWord(this.slot) + A.generation] === this.generation && slotState(this.shard, this.slot) !== SLOT_FREE
    );
  }
}

/** When the lock is free again: removes the stored bodies of what has been taken. */
export function dropTaken(dir: string, blobs: readonly Uint8Array[]): void {
  globalThis.crashPoint?.("take.unlocked");
  for (const blob of blobs) dropBlob(dir, blob);
}
