/**
 * A bus that is open in this process: the contract (`contract.ts`) over the shards.
 *
 * An agent belongs to the shard that its id hashes to. A message is encoded, and a large body stored as a blob, before the
 * shard's lock is taken; bells are rung after it is free.
 */
import { assert } from "../assert.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { decodeMessage, encodeMessage } from "../message/encode.ts";
import { messageIds, senderOf } from "../message/ids.ts";
import { type Chain, type Draft, isAgentId, type Message } from "../message/message.ts";
import { unixSeconds } from "../os/clock.ts";
import { randomId } from "../os/random.ts";
import { treeBytes } from "../os/tree.ts";
import { type Appended, append, type Parcel } from "./append.ts";
import { audit } from "./audit.ts";
import { makeBell, Ringer } from "./bell.ts";
import { dropBlob, loadBlob, storeBlob } from "./blobs.ts";
import { closeInboxesOf, isHostedElsewhere } from "./closing.ts";
import type {
  AgentEntry,
  Bell,
  Bus,
  BusInfo,
  Closed,
  Delivery,
  Lease,
  Registered,
  Registration,
  Role,
  Sent,
  Swept,
} from "./contract.ts";
import { readMeta, shardName } from "./directory.ts";
import { Holding } from "./holding.ts";
import { type Copy, gather, readOldest } from "./inbox.ts";
import { A, CHAIN, FLAG_BLOB, H } from "./layout.ts";
import { freeHosting, freeLease, takeLease } from "./leases.ts";
import { type PairKey, pairKey } from "./pairs.ts";
import { rebuildShard } from "./rebuild.ts";
import { isChainSealed } from "./seals.ts";
import { blobFits } from "./segments.ts";
import { closeShard, isClean, openShard, type Shard, withShard } from "./shard.ts";
import { depthOf, findSlot, hashOf, isTenanted, slotId, slotsUsed, slotWord } from "./slots.ts";
import { sweepBus } from "./sweep.ts";
import { occupy, supersedeHost, vacate } from "./tenancy.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const nextId = messageIds(randomId());
const roles: readonly Role[] = ["guest", "worker", "coordinator", "master"];

interface Route {
  readonly from: string;
  readonly to: string;
  readonly shard: Shard;
  readonly key: PairKey;
}

const ROUTES_KEPT = 50_000;
const PEEK_LOOKS = 8;

/** A draft made ready: encoded, its large body stored. */
interface Prepared {
  readonly msgId: string;
  readonly parcel: Parcel;
  readonly shard: Shard;
}

/** The positions of `all` by shard, those without one left out. */
function groupBy<T>(all: readonly T[], shardOf: (one: T) => Shard | undefined): Map<Shard, number[]> {
  const groups = new Map<Shard, number[]>();
  for (let at = 0; at < all.length; at++) {
    const shard = shardOf(all[at] as T);
    const group = shard && groups.get(shard);
    if (group !== undefined) group.push(at);
    else if (shard !== undefined) groups.set(shard, [at]);
  }
  return groups;
}

let scratch = new Uint8Array(0);

/** Encodes the texts of a batch in one call, which costs less than one for each, before any lock is held. */
function encodeTogether(all: readonly (Prepared | undefined)[]): void {
  let text = "";
  for (let at = 0; at < all.length; at++) {
    const body = all[at]?.parcel.body;
    if (typeof body === "string") text += body;
  }
  if (text.length > limits.batchEncodeBytes) return;
  if (scratch.length < text.length) scratch = new Uint8Array(text.length);
  // Only where a character is a byte is it known where each text ends; others are encoded one by one.
  const { read, written } = encoder.encodeInto(text, scratch);
  if (read < text.length || written !== text.length) return;
  let from = 0;
  for (let at = 0; at < all.length; at++) {
    const parcel = all[at]?.parcel;
    if (typeof parcel?.body !== "string") continue;
    const to = from + parcel.body.length;
    parcel.body = scratch.subarray(from, to);
    from = to;
  }
}

/** Appends those at `group`, and after one refusal nothing more to that chain: a retry of it would come too late. */
function appendInOrder(shard: Shard, group: readonly number[], all: readonly Prepared[]): Appended[] {
  const refused = new Map<string, Appended>();
  const chainOf = ({ to, chain }: Parcel): string => `${to} ${chain}`;
  globalThis.crashPoint?.("batch.locked");
  return group.map((at) => {
    const { parcel } = all[at] as Prepared;
    const before = refused.size === 0 ? undefined : refused.get(chainOf(parcel));
    const outcome = before ?? append(shard, parcel);
    globalThis.crashPoint?.("batch.between");
    if (outcome.status === "full" || outcome.status === "gap") refused.set(chainOf(parcel), outcome);
    return outcome;
  });
}

/** Opens a bus. Throws CfnError unavailable or refused; see `readMeta`. */
export function openBus(dir: string): Bus {
  return new OpenBus(dir);
}

class OpenBus implements Bus {
  readonly info: BusInfo;
  private readonly shards: (Shard | undefined)[];
  private readonly ringer: Ringer;
  /** What follows from a (sender, recipient) alone, kept for the next message. */
  private readonly routes = new Map<string, Route>();
  private lastRoute: Route | undefined;
  private closed = false;
  /** The inboxes were closed by us: what we send is still taken. */
  private late = false;

  constructor(dir: string) {
    const meta = readMeta(dir);
    this.info = {
      dir,
      shards: meta.shards,
      segmentBytes: meta.segment_bytes,
      inboxMessages: limits.inboxMessages,
      inboxBytes: limits.inboxBytes,
      busBytes: meta.bus_bytes,
    };
    this.shards = new Array<Shard | undefined>(meta.shards).fill(undefined);
    this.ringer = new Ringer(dir);
  }

  private shard(n: number): Shard {
    assert(!this.closed, "the bus is open");
    let shard = this.shards[n];
    if (shard === undefined) {
      const { dir, shards, segmentBytes, busBytes } = this.info;
      shard = openShard(`${dir}/shards/${shardName(n)}`, segmentBytes, Math.floor(busBytes / shards), rebuildShard);
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
    const prepared = this.prepare(draft, unixSeconds());
    if (!("parcel" in prepared)) return prepared;
    const appended = withShard(prepared.shard, () => append(prepared.shard, prepared.parcel));
    globalThis.crashPoint?.("send.unlocked");
    return this.finish(prepared, appended);
  }

  sendBatch(drafts: readonly Draft[]): Sent[] {
    const outcomes = new Array<Sent | undefined>(drafts.length).fill(undefined);
    const now = unixSeconds();
    const all: (Prepared | undefined)[] = [];
    // A large body may be refused here already: then so is what follows it to the same chain.
    const refused = new Map<string, Sent>();
    const chainOf = ({ to, chain }: Draft): string => `${to} ${chain ?? "data"}`;
    for (let at = 0; at < drafts.length; at++) {
      const draft = drafts[at] as Draft;
      const before = refused.size === 0 ? undefined : refused.get(chainOf(draft));
      const prepared = before ?? this.prepare(draft, now);
      if ("parcel" in prepared) all.push(prepared);
      else {
        refused.set(chainOf(draft), prepared);
        outcomes[at] = prepared;
        all.push(undefined);
      }
    }
    encodeTogether(all);
    globalThis.crashPoint?.("batch.encoded");
    for (const [shard, group] of groupBy(all, (one) => one?.shard)) {
      const appended = withShard(shard, () => appendInOrder(shard, group, all as readonly Prepared[]));
      globalThis.crashPoint?.("batch.unlocked");
      for (let n = 0; n < group.length; n++) {
        const at = group[n] as number;
        outcomes[at] = this.finish(all[at] as Prepared, appended[n] as Appended);
      }
    }
    globalThis.crashPoint?.("batch.rung");
    return outcomes as Sent[];
  }

  private prepare(draft: Draft, now: number): Prepared | Sent {
    const { shard, key } = this.route(draft.from, draft.to);
    if (draft.msgId !== undefined) assert(senderOf(draft.msgId) !== undefined, `"${draft.msgId}" is a message id`);
    const msgId = draft.msgId ?? nextId(draft.from);
    const text = encodeMessage(draft, msgId, draft.timestamp ?? now);
    const { to } = draft;
    const chain = CHAIN[draft.chain ?? "data"];
    const sequence = draft.sequence ?? 0;
    const { late } = this;
    if (text.length * 3 <= limits.recordBytes) {
      return { msgId, shard, parcel: { to, chain, key, sequence, late, body: text, flags: 0, charge: 0 } };
    }
    const body = encoder.encode(text);
    assert(body.length <= limits.batchLineBytes, "a payload's size is validated at the edge");
    if (body.length <= limits.recordBytes) {
      return { msgId, shard, parcel: { to, chain, key, sequence, late, body, flags: 0, charge: 0 } };
    }
    const stored = blobFits(shard, body.length) ? storeBlob(this.info.dir, body) : 0;
    if (typeof stored === "number") return { status: "full", what: "bus", limit: `${shard.bytesMost} bytes a shard` };
    const charge = body.length;
    return { msgId, shard, parcel: { to, chain, key, sequence, late, body: stored, flags: FLAG_BLOB, charge } };
  }

  private route(from: string, to: string): Route {
    if (this.lastRoute?.from === from && this.lastRoute.to === to) return this.lastRoute;
    const name = `${from} ${to}`;
    let route = this.routes.get(name);
    if (route === undefined) {
      assert(isAgentId(to) && isAgentId(from), `agent ids are validated at the edge: "${from}" to "${to}"`);
      if (this.routes.size >= ROUTES_KEPT) this.routes.clear();
      route = { from, to, shard: this.shardOf(to), key: pairKey(from, to) };
      this.routes.set(name, route);
    }
    this.lastRoute = route;
    return route;
  }

  private finish({ msgId, parcel }: Prepared, appended: Appended): Sent {
    if (appended.status === "accepted") {
      if (appended.bell !== 0) this.ringer.ring(appended.bell);
      globalThis.crashPoint?.("send.rung");
      return { status: "accepted", msgId, sequence: appended.sequence };
    }
    if (typeof parcel.body !== "string" && parcel.flags !== 0) dropBlob(this.info.dir, parcel.body);
    if (appended.status === "duplicate") return { status: "duplicate", msgId, sequence: appended.sequence };
    if (appended.status === "gone") return { status: "gone", to: parcel.to };
    return appended;
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
        return findSlot(shard, id) === slot
          ? new Holding(this.info.dir, shard, slot, number, (copy) => this.decode(copy))
          : undefined;
      });
      if (holding !== undefined) return holding;
      freeLease(shard, slot, number);
    }
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

  /** Undefined where the stored body is missing or damaged. */
  private decode(copy: Copy): Message | undefined {
    const body = copy.isBlob ? loadBlob(this.info.dir, copy.body) : copy.body;
    return body && decodeMessage(decoder.decode(body), copy.sequence, copy.attempt);
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

  has(id: string): boolean {
    return this.find(id) !== undefined;
  }

  closeInboxes(): Closed {
    this.late = true;
    const unread: string[] = [];
    let accepted = 0;
    for (const shard of this.allShards()) {
      const closed = withShard(shard, () => closeInboxesOf(shard));
      globalThis.crashPoint?.("closing.shard_done");
      accepted += closed.accepted;
      unread.push(...closed.unread);
    }
    return { accepted, unread };
  }

  isServed(id: string): boolean {
    const found = this.find(id);
    return found !== undefined && withShard(found.shard, () => isHostedElsewhere(found.shard, id));
  }

  agents(): AgentEntry[] {
    const found: (AgentEntry & { hash: number })[] = [];
    for (const shard of this.allShards()) {
      withShard(shard, () => {
        audit(shard);
        const words = shard.index.words;
        for (let slot = 0; slot < slotsUsed(shard); slot++) {
          if (!isTenanted(shard, slot)) continue;
          const at = slotWord(slot);
          found.push({
            id: slotId(shard, slot),
            role: roles[words[at + A.role] as number] ?? "guest",
            team: "",
            hash: words[at + A.team] as number,
            hostPid: words[at + A.hostPid] as number,
            depth: { data: depthOf(shard, slot, CHAIN.data), control: depthOf(shard, slot, CHAIN.control) },
            incarnation: words[at + A.incarnation] as number,
          });
        }
      });
    }
    const leads = new Map(found.map(({ id }) => [hashOf(id), id]));
    return found
      .map(({ hash, ...entry }) => ({ ...entry, team: hash === 0 ? "" : (leads.get(hash) ?? "") }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
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

  damaged(everywhere = false): number {
    if (this.closed) return 0;
    let count = 0;
    for (let n = 0; n < this.shards.length; n++) {
      const shard = this.shards[n] ?? (everywhere ? this.openedShard(n) : undefined);
      count += shard?.index.words[H.damaged] ?? 0;
    }
    return count;
  }

  /** Undefined where the shard is gone: a bus may be removed under our feet. */
  private openedShard(n: number): Shard | undefined {
    try {
      return this.shard(n);
    } catch (error) {
      if (error instanceof CfnError) return undefined;
      throw error;
    }
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
