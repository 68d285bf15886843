/**
 * Sending. A message is encoded, and a large body stored as a blob, before the shard's lock is taken; bells are rung after it
 * is free.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";
import { encodeMessage } from "../message/encode.ts";
import { messageIds, senderOf } from "../message/ids.ts";
import { type Draft, isAgentId } from "../message/message.ts";
import { unixSeconds } from "../os/clock.ts";
import { randomId } from "../os/random.ts";
import { type Appended, append, inboxFull, type Parcel } from "./append.ts";
import type { Ringer } from "./bell.ts";
import { dropBlob, storeBlob } from "./blobs.ts";
import type { Sent } from "./contract.ts";
import { countOne } from "./counters.ts";
import { groupBy } from "./groups.ts";
import { CHAIN, CLOSED, FLAG_BLOB, H } from "./layout.ts";
import { type PairKey, pairKey } from "./pairs.ts";
import { Rates } from "./rates.ts";
import { isChainSealed } from "./seals.ts";
import { blobFits } from "./segments.ts";
import { isClean, type Shard, withShard } from "./shard.ts";
import { depthOf, findSlot, slotWord } from "./slots.ts";

const encoder = new TextEncoder();
const nextId = messageIds(randomId());

interface Route {
  readonly from: string;
  readonly to: string;
  readonly shard: Shard;
  readonly key: PairKey;
}

const ROUTES_KEPT = 50_000;
/** A draft made ready: encoded, its large body stored. */
interface Prepared {
  readonly msgId: string;
  readonly parcel: Parcel;
  readonly shard: Shard;
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

/**
 * False if an inbox is seen to be full without the lock: those who wait for room look often, and are to keep nobody from the
 * lock, nor encode what they cannot send. A number that the sender gave may be of a message that has been accepted, which is told
 * under the lock, so is that the inboxes are closed; and damage is found there.
 */
function mayHaveRoom(shard: Shard, { to, chain, sequence }: Draft, ahead: number): boolean {
  if (chain === "control" || sequence !== undefined || shard.index.words[H.closing] === CLOSED) return true;
  const slot = findSlot(shard, to);
  if (slot < 0 || depthOf(shard, slot, CHAIN.data) + ahead < shard.inboxMessages) return true;
  return !isClean(shard) || !isChainSealed(shard.index.words, slotWord(slot), CHAIN.data);
}

export class Sending {
  /** What follows from a (sender, recipient) alone, kept for the next message. */
  private readonly routes = new Map<string, Route>();
  private lastRoute: Route | undefined;
  private readonly rates: Rates;
  /** The inboxes were closed by this process: what it sends is still taken. */
  late = false;

  constructor(
    private readonly dir: string,
    private readonly shardOf: (id: string) => Shard,
    private readonly ringer: Ringer,
  ) {
    this.rates = new Rates(dir);
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
    // One may be refused here already: then so is what follows it to the same chain.
    const refused = new Map<string, Sent>();
    const chainOf = ({ to, chain }: Draft): string => `${to} ${chain ?? "data"}`;
    const ahead = new Map<string, number>();
    for (let at = 0; at < drafts.length; at++) {
      const draft = drafts[at] as Draft;
      const before = refused.size === 0 ? undefined : refused.get(chainOf(draft));
      const others = ahead.get(draft.to) ?? 0;
      const prepared = before ?? this.prepare(draft, now, others);
      if (draft.chain !== "control") ahead.set(draft.to, others + 1);
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

  /** `ahead`: how many data messages to the same inbox go before it. */
  private prepare(draft: Draft, now: number, ahead = 0): Prepared | Sent {
    const { shard, key } = this.route(draft.from, draft.to);
    if (!mayHaveRoom(shard, draft, ahead)) {
      countOne(shard.index.words, H.refusedInboxFull);
      return inboxFull(shard);
    }
    if (shard.index.words[H.permittedPerSecond] !== 0 && draft.chain !== "control") {
      const refusal = this.rates.spend(shard, draft.from);
      if (refusal !== undefined) return refusal;
    }
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
    const stored = blobFits(shard, body.length) ? storeBlob(this.dir, body) : 0;
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
    if (typeof parcel.body !== "string" && parcel.flags !== 0) dropBlob(this.dir, parcel.body);
    if (appended.status === "duplicate") return { status: "duplicate", msgId, sequence: appended.sequence };
    if (appended.status === "gone") return { status: "gone", to: parcel.to };
    return appended;
  }
}
