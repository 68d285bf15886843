/**
 * Sending. A message is encoded, and a large body stored as a blob, before the shard's lock is taken; bells are rung after it
 * is free.
 */
import { assert } from "../assert.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { encodeMessage } from "../message/encode.ts";
import { messageIds, senderOf } from "../message/ids.ts";
import { type Draft, isAgentId } from "../message/message.ts";
import { unixSeconds } from "../os/clock.ts";
import { randomId } from "../os/random.ts";
import { type Appended, append, busFull, inboxFull, type Parcel, refusedWith } from "./append.ts";
import type { Ringer } from "./bell.ts";
import { dropBlob, storeBlob } from "./blobs.ts";
import type { Full, Sent } from "./contract.ts";
import { countOne } from "./counters.ts";
import { groupBy } from "./groups.ts";
import { CHAIN, CLOSED, FLAG_BLOB, H } from "./layout.ts";
import { type PairKey, pairKey } from "./pairs.ts";
import { Rates } from "./rates.ts";
import { bodySum } from "./record.ts";
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
interface Prepared extends Parcel {
  readonly msgId: string;
  readonly shard: Shard;
  /** Its place in the batch. */
  readonly at: number;
}

const chainOf = ({ to, chain }: Parcel): string => `${to} ${chain}`;

/** Where the row that begins at `from` ends: the same chain of one sender's messages, which the bus numbers. */
function endOfRow(all: readonly Parcel[], from: number): number {
  const { key, chain, sequence } = all[from] as Parcel;
  let end = from + 1;
  if (sequence !== 0) return end;
  for (; end < all.length; end++) {
    const next = all[end] as Parcel;
    if (next.key !== key || next.chain !== chain || next.sequence !== 0) break;
  }
  return end;
}

/**
 * Appends all to `rows`, row by row, and after one refusal nothing more to that chain: a retry of it would come too late. Where it
 * throws, nothing of the row after the last in `rows` has been appended.
 */
function appendInOrder(shard: Shard, all: readonly Parcel[], rows: Appended[]): void {
  const refused = new Map<string, Appended>();
  globalThis.crashPoint?.("batch.locked");
  for (let from = 0, end = 0; from < all.length; ) {
    if (from >= end) end = endOfRow(all, from);
    const first = all[from] as Parcel;
    const before = refused.size === 0 ? undefined : refused.get(chainOf(first));
    const outcome = before ?? append(shard, all, from, end);
    globalThis.crashPoint?.("batch.between");
    const { accepted, refusal } = outcome;
    if (refusal?.status === "full" || refusal?.status === "gap") refused.set(chainOf(first), outcome);
    rows.push(outcome);
    from += refusal === undefined ? accepted : 1;
  }
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
    const prepared = this.prepare(draft, unixSeconds(), 0, 0);
    if ("status" in prepared) return prepared;
    const { shard } = prepared;
    const appended = withShard(shard, () => append(shard, [prepared], 0, 1));
    globalThis.crashPoint?.("send.unlocked");
    this.ring(appended);
    return this.outcome(prepared, appended, appended.sequence);
  }

  sendBatch(drafts: readonly Draft[]): Sent[] {
    const outcomes = new Array<Sent | undefined>(drafts.length).fill(undefined);
    const now = unixSeconds();
    const all: Prepared[] = [];
    let accepted = 0;
    // One may be refused here already: then so is what follows it to the same chain.
    const unfit = new Map<string, Sent>();
    const chainOfDraft = ({ to, chain }: Draft): string => `${to} ${chain ?? "data"}`;
    const ahead = new Map<string, number>();
    for (let at = 0; at < drafts.length; at++) {
      const draft = drafts[at] as Draft;
      const before = unfit.size === 0 ? undefined : unfit.get(chainOfDraft(draft));
      const others = ahead.get(draft.to) ?? 0;
      const prepared = before ?? this.prepare(draft, now, at, others);
      if (draft.chain !== "control") ahead.set(draft.to, others + 1);
      if ("status" in prepared) {
        unfit.set(chainOfDraft(draft), prepared);
        outcomes[at] = prepared;
      } else all.push(prepared);
    }
    globalThis.crashPoint?.("batch.encoded");
    for (const [shard, places] of groupBy(all, (one) => one.shard)) {
      const group = places.length === all.length ? all : places.map((place) => all[place] as Prepared);
      const rows: Appended[] = [];
      let cut: unknown;
      try {
        withShard(shard, () => appendInOrder(shard, group, rows));
      } catch (error) {
        if (!(error instanceof CfnError)) throw error;
        cut = error;
      }
      globalThis.crashPoint?.("batch.unlocked");
      let n = 0;
      for (const row of rows) {
        accepted += row.accepted;
        this.ring(row);
        for (let behind = Math.max(row.accepted, 1) - 1; behind >= 0; behind--) {
          const one = group[n++] as Prepared;
          outcomes[one.at] = this.outcome(one, row, row.sequence - behind);
        }
      }
      if (cut === undefined) continue;
      const refusal = refusedWith(busFull(shard));
      // What has been accepted is to be told: why the rest was not is said when that is tried again.
      for (const one of accepted === 0 ? all : group.slice(n)) outcomes[one.at] = this.outcome(one, refusal, 0);
      if (accepted === 0) throw cut;
    }
    globalThis.crashPoint?.("batch.rung");
    return outcomes as Sent[];
  }

  /**
   * `at`: its place in the batch; `ahead`: how many data messages of that go before it to the same inbox. What has a number of
   * the sender's own is refused under the lock alone: an earlier attempt may have been accepted.
   */
  private prepare(draft: Draft, now: number, at: number, ahead: number): Prepared | Sent {
    const { shard, key } = this.route(draft.from, draft.to);
    if (!mayHaveRoom(shard, draft, ahead)) {
      countOne(shard.index.words, H.refusedInboxFull);
      return inboxFull(shard);
    }
    let unfit: Full | undefined;
    if (shard.index.words[H.permittedPerSecond] !== 0 && draft.chain !== "control") {
      unfit = this.rates.spend(shard, draft.from);
      if (unfit !== undefined && draft.sequence === undefined) return unfit;
    }
    if (draft.msgId !== undefined) assert(senderOf(draft.msgId) !== undefined, `"${draft.msgId}" is a message id`);
    const msgId = draft.msgId ?? nextId(draft.from);
    const text = encodeMessage(draft, msgId, draft.timestamp ?? now);
    const { to } = draft;
    const chain = draft.chain === "control" ? CHAIN.control : CHAIN.data;
    const sequence = draft.sequence ?? 0;
    let body: string | Uint8Array = text;
    let flags = 0;
    let charge = 0;
    if (text.length * 3 > limits.recordBytes) {
      const bytes = encoder.encode(text);
      assert(bytes.length <= limits.batchLineBytes, "a payload's size is validated at the edge");
      body = bytes;
      if (bytes.length > limits.recordBytes) {
        charge = bytes.length;
        const blob = unfit === undefined && blobFits(shard, charge) ? storeBlob(this.dir, bytes) : 0;
        if (typeof blob === "number") {
          unfit ??= busFull(shard);
          if (sequence === 0) {
            countOne(shard.index.words, H.refusedBusFull);
            return unfit;
          }
          body = "";
        } else {
          body = blob;
          flags = FLAG_BLOB;
        }
      }
    }
    // The sum is taken here and not under the lock.
    const sum = bodySum(body);
    return { msgId, shard, at, to, chain, key, sequence, late: this.late, body, sum, flags, charge, unfit };
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

  private ring({ bell }: Appended): void {
    if (bell !== 0) this.ringer.ring(bell);
    globalThis.crashPoint?.("send.rung");
  }

  private outcome({ msgId, to, body, flags }: Prepared, { refusal }: Appended, sequence: number): Sent {
    if (refusal === undefined) return { status: "accepted", msgId, sequence };
    if (typeof body !== "string" && flags !== 0) dropBlob(this.dir, body);
    if (refusal.status === "duplicate") return { status: "duplicate", msgId, sequence: refusal.sequence };
    if (refusal.status === "gone") return { status: "gone", to };
    return refusal;
  }
}
