/**
 * A bus that is open in this process: the contract (`contract.ts`) over the shards.
 *
 * An agent belongs to the shard that its id hashes to.
 */
import { assert } from "../assert.ts";
import { CfnError, isPassing } from "../errors.ts";
import { limits } from "../limits.ts";
import { decodeMessage } from "../message/encode.ts";
import { type Chain, type Draft, isAgentId, type Message } from "../message/message.ts";
import { treeBytes } from "../os/tree.ts";
import { audit } from "./audit.ts";
import { makeBell, Ringer } from "./bell.ts";
import { loadBlob } from "./blobs.ts";
import { closeInboxesOf, isHostedElsewhere } from "./closing.ts";
import type {
  AgentEntry,
  Bell,
  Bus,
  BusInfo,
  BusStats,
  Closed,
  Delivery,
  Lease,
  LockWaits,
  Reading,
  Registered,
  Registration,
  Room,
  Sent,
  Swept,
} from "./contract.ts";
import { groupBy } from "./groups.ts";
import { dropTaken, Holding } from "./holding.ts";
import { type Copy, gather, readOldest } from "./inbox.ts";
import { listAgents, Onlooker, roles, statsOf, waitsForLocks } from "./inspection.ts";
import { A, C, CHAIN, type ChainNumber, H, shardName } from "./layout.ts";
import { freeHosting, freeLease, isLeased, takeLease } from "./leases.ts";
import { readMeta } from "./meta.ts";
import { setPermitted } from "./rates.ts";
import { rebuildShard } from "./rebuild.ts";
import { isChainSealed } from "./seals.ts";
import { Sending } from "./sending.ts";
import { closeShard, isClean, openShard, type Shard, withShard } from "./shard.ts";
import { chainWord, depthOf, findSlot, findSlots, hashOf, slotWord } from "./slots.ts";
import { sweepBus } from "./sweep.ts";
import { occupy, supersedeHost, vacate } from "./tenancy.ts";

const decoder = new TextDecoder();

const PEEK_LOOKS = 8;

/** Opens a bus. Throws CfnError unavailable or refused; see `readMeta`. */
export function openBus(dir: string): Bus {
  return new OpenBus(dir);
}

class OpenBus implements Bus {
  readonly info: BusInfo;
  private readonly shards: (Shard | undefined)[];
  private readonly ringer: Ringer;
  private readonly sending: Sending;
  private readonly onlooker = new Onlooker();
  private closed = false;

  constructor(dir: string) {
    const meta = readMeta(dir);
    this.info = {
      dir,
      shards: meta.shards,
      segmentBytes: meta.segment_bytes,
      inboxMessages: meta.inbox_messages,
      inboxBytes: meta.inbox_bytes,
      busBytes: meta.bus_bytes,
    };
    this.shards = new Array<Shard | undefined>(meta.shards).fill(undefined);
    this.ringer = new Ringer(dir);
    this.sending = new Sending(dir, (id) => this.shardOf(id), this.ringer);
  }

  private shard(n: number): Shard {
    assert(!this.closed, "the bus is open");
    let shard = this.shards[n];
    if (shard === undefined) {
      const { dir, shards, segmentBytes, busBytes, inboxMessages, inboxBytes } = this.info;
      const bounds = { segmentBytes, bytesMost: Math.floor(busBytes / shards), inboxMessages, inboxBytes };
      shard = openShard(`${dir}/shards/${shardName(n)}`, bounds, rebuildShard);
      this.shards[n] = shard;
    }
    return shard;
  }

  private shardOf(id: string): Shard {
    return this.shard(hashOf(id) % this.info.shards);
  }

  private allShards(): Shard[] {
    return this.shards.map((_, n) => this.shard(n));
  }

  send(draft: Draft): Sent {
    return this.sending.send(draft);
  }

  sendBatch(drafts: readonly Draft[]): Sent[] {
    return this.sending.sendBatch(drafts);
  }

  permit(perSecond: number): void {
    setPermitted(this.info.dir, this.openedShards(), perSecond);
  }

  register(who: Registration): Registered {
    return this.registerAll([who])[0] as Registered;
  }

  registerAll(all: readonly Registration[]): Registered[] {
    const outcomes = new Array<Registered | undefined>(all.length).fill(undefined);
    const byShard = groupBy(all, ({ id }) => {
      assert(isAgentId(id), `agent ids are validated at the edge: "${id}"`);
      return this.shardOf(id);
    });
    for (const [shard, group] of byShard) {
      withShard(shard, () => {
        audit(shard);
        findSlots(
          shard,
          group.map((at) => (all[at] as Registration).id),
        );
        for (const at of group)
          outcomes[at] = occupy(shard, all[at] as Registration, roles.indexOf((all[at] as Registration).role));
      });
    }
    return outcomes as Registered[];
  }

  unregister(id: string): number {
    const shard = this.shardOf(id);
    return withShard(shard, () => {
      audit(shard);
      const slot = findSlot(shard, id);
      if (slot < 0) return 0;
      const unread = vacate(shard, slot);
      freeHosting(shard, slot);
      return unread;
    });
  }

  incarnation(id: string): number {
    const found = this.find(id);
    return found === undefined ? 0 : Atomics.load(found.shard.index.words, slotWord(found.slot) + A.incarnation);
  }

  supersede(id: string): number {
    const shard = this.shardOf(id);
    return withShard(shard, () => {
      const slot = findSlot(shard, id);
      return slot < 0 ? 0 : supersedeHost(shard, slot);
    });
  }

  private find(id: string): { shard: Shard; slot: number } | undefined {
    if (!isAgentId(id)) return undefined;
    const shard = this.shardOf(id);
    let slot = findSlot(shard, id);
    // Another process may have added slots beyond what is mapped here: look again under the lock, which maps them. And a
    // slot that is not what was written may be the one that is sought.
    if (slot < 0 || !this.looksSound(shard, slot)) {
      slot = withShard(shard, () => {
        const found = findSlot(shard, id);
        if (found >= 0 && this.looksSound(shard, found)) return found;
        audit(shard);
        return findSlot(shard, id);
      });
    }
    return slot < 0 ? undefined : { shard, slot };
  }

  /** Whether a slot's generation is sealed; without the lock, of a slot under change, nothing can be said. */
  private looksSound(shard: Shard, slot: number): boolean {
    return !isClean(shard) || isChainSealed(shard.index.words, slotWord(slot), CHAIN.data);
  }

  private mustFind(id: string): { shard: Shard; slot: number } {
    const found = this.find(id);
    if (found === undefined)
      throw new CfnError(
        "not_found",
        `no agent "${id}" on the bus ${this.info.dir}`,
        "cfn agents lists those there are",
      );
    return found;
  }

  lease(id: string, chain: Chain): Lease | undefined {
    const number = CHAIN[chain];
    for (;;) {
      const { shard, slot } = this.mustFind(id);
      if (!takeLease(shard, slot, number)) return undefined;
      // It was found without the lock: by now the slot may be another agent's, whose messages are not for this reader.
      const holding = withShard(shard, () => {
        if (!this.looksSound(shard, slot)) audit(shard);
        return findSlot(shard, id) === slot ? this.holding(shard, slot, number) : undefined;
      });
      if (holding !== undefined) return holding;
      freeLease(shard, slot, number);
    }
  }

  leaseAll(ids: readonly string[], chain: Chain): (Lease | undefined)[] {
    const number = CHAIN[chain];
    const leases = new Array<Lease | undefined>(ids.length).fill(undefined);
    try {
      this.leaseInto(leases, ids, number);
    } catch (error) {
      // All or none: nobody else would ever release them.
      for (const lease of leases) lease?.release();
      throw error;
    }
    return leases;
  }

  private leaseInto(leases: (Lease | undefined)[], ids: readonly string[], number: ChainNumber): void {
    for (const [shard, group] of groupBy(ids, (id) => this.shardOf(id))) {
      withShard(shard, () => {
        for (const at of group) {
          const id = ids[at] as string;
          let slot = findSlot(shard, id);
          if (slot < 0 || !this.looksSound(shard, slot)) {
            audit(shard);
            slot = findSlot(shard, id);
          }
          if (slot >= 0 && takeLease(shard, slot, number)) leases[at] = this.holding(shard, slot, number);
        }
      });
    }
  }

  private holding(shard: Shard, slot: number, chain: ChainNumber): Holding {
    return new Holding(this.info.dir, shard, slot, chain, (copy) => this.decode(copy));
  }

  readAll(leases: readonly Lease[], max: number): Delivery[][] {
    const holdings = leases as readonly Holding[];
    const copies = new Array<readonly Copy[]>(leases.length).fill([]);
    for (const [shard, group] of groupBy(holdings, (holding) => holding.shard)) {
      const read = readOldest(shard, () => group.map((at) => (holdings[at] as Holding).gather(max, limits.inboxBytes)));
      group.forEach((at, n) => {
        copies[at] = read[n] as Copy[];
      });
    }
    // Where the oldest message is gone for good, the next ones are read one lease at a time.
    return copies.map((some, at) => (holdings[at] as Holding).accept(some) ?? (holdings[at] as Holding).read(max));
  }

  ackAll(leases: readonly Lease[], counts: readonly number[]): number[] {
    const holdings = leases as readonly Holding[];
    const left: number[] = [];
    for (const [shard, group] of groupBy(holdings, (holding) => holding.shard)) {
      const blobs: Uint8Array[][] = [];
      try {
        withShard(shard, () => {
          for (const at of group) blobs.push((holdings[at] as Holding).take(counts[at] as number));
        });
      } catch (error) {
        if (!isPassing(error)) throw error;
        left.push(...group.slice(blobs.length));
      }
      dropTaken(this.info.dir, blobs.flat());
    }
    return left;
  }

  /** Undefined where the stored body is missing or damaged. */
  private decode(copy: Copy): Message | undefined {
    const { body, sequence, attempt } = copy;
    if (typeof body === "string") return decodeMessage(body, sequence, attempt);
    const stored = loadBlob(this.info.dir, body);
    return stored && decodeMessage(decoder.decode(stored), sequence, attempt);
  }

  peek(id: string, chain: Chain, max: number): Message[] {
    const { shard } = this.mustFind(id);
    const number = CHAIN[chain];
    for (let look = 1; ; look++) {
      const [copies = []] = readOldest(shard, () => {
        const slot = findSlot(shard, id);
        if (slot < 0) return [];
        const gathered = gather(shard, slot, number, max, Number.MAX_SAFE_INTEGER, false);
        return [{ gathered, depth: Math.min(max, depthOf(shard, slot, number)) }];
      });
      const messages = copies.map((copy) => this.decode(copy));
      // Its reader may have taken a message, and removed its blob, since it was copied: then it is not there at another look.
      if (look === PEEK_LOOKS || !messages.includes(undefined))
        return messages.filter((message) => message !== undefined);
    }
  }

  depth(id: string, chain: Chain): number {
    const { shard, slot } = this.mustFind(id);
    if (isClean(shard) && !isChainSealed(shard.index.words, slotWord(slot), CHAIN[chain]))
      withShard(shard, () => audit(shard));
    return depthOf(shard, slot, CHAIN[chain]);
  }

  room(id: string, chain: Chain): Room | undefined {
    const found = this.find(id);
    if (found === undefined) return undefined;
    const { shard, slot } = found;
    const limit = chain === "data" ? shard.inboxMessages : limits.controlMessages;
    const taken = Atomics.load(shard.index.words, chainWord(slot, CHAIN[chain]) + C.taken);
    return { free: limit - depthOf(shard, slot, CHAIN[chain]), limit, taken };
  }

  has(id: string): boolean {
    return this.find(id) !== undefined;
  }

  closeInboxes(): Closed {
    const unread: string[] = [];
    let accepted = 0;
    for (const shard of this.allShards()) {
      const closed = withShard(shard, () => closeInboxesOf(shard));
      globalThis.crashPoint?.("closing.shard_done");
      accepted += closed.accepted;
      unread.push(...closed.unread);
    }
    // Not before: one that could not close them all has no more right to send than others.
    this.sending.late = true;
    return { accepted, unread };
  }

  isServed(id: string): boolean {
    const found = this.find(id);
    return found !== undefined && withShard(found.shard, () => isHostedElsewhere(found.shard, id));
  }

  reading(id: string): Reading | undefined {
    const found = this.find(id);
    if (found === undefined) return undefined;
    const { shard, slot } = found;
    const taken = Atomics.load(shard.index.words, chainWord(slot, CHAIN.data) + C.taken);
    return { leased: isLeased(shard, slot, CHAIN.data), taken };
  }

  agents(): AgentEntry[] {
    return listAgents(this.allShards());
  }

  agentsSeen(): AgentEntry[] {
    return this.onlooker.list(this.allShards());
  }

  bell(): Bell {
    return makeBell(
      this.info.dir,
      (id) => this.find(id),
      (chain) => CHAIN[chain],
    );
  }

  sweep(): Swept {
    return sweepBus(this.info.dir, this.allShards());
  }

  stats(): BusStats {
    return statsOf(this.openedShards());
  }

  lockWaits(): LockWaits {
    return waitsForLocks();
  }

  damaged(everywhere = false): number {
    if (this.closed) return 0;
    const shards = everywhere ? this.openedShards() : this.shards;
    return shards.reduce((count, shard) => count + (shard?.index.words[H.damaged] ?? 0), 0);
  }

  /** Without those that are gone: a bus may be removed under our feet. */
  private openedShards(): Shard[] {
    const opened: Shard[] = [];
    for (let n = 0; n < this.shards.length; n++) {
      try {
        opened.push(this.shard(n));
      } catch (error) {
        if (!(error instanceof CfnError)) throw error;
      }
    }
    return opened;
  }

  bytes(): number {
    return treeBytes(`${this.info.dir}/shards`) + treeBytes(`${this.info.dir}/blobs`);
  }

  close(): void {
    if (this.closed) return;
    for (const shard of this.shards) if (shard !== undefined) closeShard(shard);
    this.ringer.close();
    this.closed = true;
  }
}
