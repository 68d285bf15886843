/**
 * One trial of damage: makes a small bus, overwrites bytes of one of its files (or of several), uses the bus, and holds what
 * comes out against what was accepted. Everything follows from the kind and the seed.
 *
 * The oracle reads the segments before the damage: it knows which bytes hold which message. A message none of whose bytes
 * was changed must arrive, once, in order, whole; one that was hit may be missing, but must not come out changed; what had
 * been taken does not come back. An agent may be missing only if its slot was hit where it says whose it is. Whatever is
 * missing must be reported.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus, Delivery, Lease } from "../../src/bus/contract.ts";
import { createBus } from "../../src/bus/creation.ts";
import {
  A,
  R,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  SLOT_BYTES,
  SLOT_ID_BYTE,
  SLOTS_BYTE,
} from "../../src/bus/layout.ts";
import { destroyBus } from "../../src/bus/removal.ts";
import { CfnError } from "../../src/errors.ts";
import type { Chain, Json, Message } from "../../src/message/message.ts";
import { type Random, randomFrom } from "./seed.ts";

export const damageKinds = ["segment", "index", "meta", "pairs", "blob", "mixture", "mapped"] as const;
export type DamageKind = (typeof damageKinds)[number];

/** What trials came to: for the reader of a test's output, and to see that they do damage at all. */
export interface Tally {
  accepted: number;
  received: number;
  /** Messages that were hit and did not arrive; agents whose slot was hit and that are gone. */
  missing: number;
  agentsGone: number;
  /** Trials in which the bus reported damage, and those in which it could not be opened and said so. */
  reported: number;
  refused: number;
}

interface Sent {
  readonly n: number;
  readonly from: string;
  readonly payload: Json;
  readonly sequence: number;
}

interface Inbox {
  readonly id: string;
  readonly chain: Chain;
  unread: Sent[];
}

/** Where a message lies: `at` to `end` in a file. */
interface Extent {
  readonly file: string;
  readonly at: number;
  readonly end: number;
  readonly blob: string | undefined;
}

const IDENTITY: readonly number[] = [A.generation, A.idHash, A.identity];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const shardFiles = (dir: string, pattern: RegExp): string[] =>
  readdirSync(`${dir}/shards`).flatMap((shard) =>
    readdirSync(`${dir}/shards/${shard}`)
      .filter((name) => pattern.test(name))
      .map((name) => `${dir}/shards/${shard}/${name}`),
  );

export class Trial {
  private readonly random: Random;
  private readonly dir: string;
  private readonly inboxes: Inbox[] = [];
  private readonly extents = new Map<number, Extent>();
  /** Changed bytes of each file. */
  private readonly hits = new Map<string, Set<number>>();
  private readonly slotsHit = new Set<string>();
  private readonly leases = new Map<Inbox, Lease>();
  private count = 0;
  private hosted = true;

  constructor(
    base: string,
    private readonly kind: DamageKind,
    seed: number,
    private readonly tally: Tally,
  ) {
    this.random = randomFrom(seed);
    this.dir = `${base}/one`;
  }

  run(): void {
    const { dir, kind, random } = this;
    createBus(dir, { shards: 1 + random.below(2), busBytes: 8 << 20 });
    const host = openBus(dir);
    try {
      this.fill(host);
      if (kind === "mapped") for (const inbox of this.inboxes) this.readAhead(host, inbox);
      this.locate();
      // Half of the time nobody hosts the agents any more.
      const opened = kind === "mapped" ? host : undefined;
      this.hosted = opened !== undefined || random.below(2) === 0;
      if (!this.hosted) host.close();
      this.damage();
      if (kind === "meta") this.mustRefuse();
      else this.use(opened ?? openBus(dir));
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.stack : error}\n${this.hitText()}`);
    } finally {
      host.close();
      destroyBus(dir);
    }
  }

  private hitText(): string {
    return [...this.hits].map(([file, bytes]) => `hit ${file} at ${[...bytes].join(" ")}`).join("\n");
  }

  private fill(bus: Bus): void {
    const { random } = this;
    const ids = Array.from({ length: 2 + random.below(4) }, (_, n) => `agent-${n}`);
    // One that came and went: its slot is somebody else's afterwards.
    bus.register({ id: "gone", role: "worker" });
    bus.send({ from: "s0", to: "gone", type: "t", payload: 0 });
    bus.lease("gone", "data")?.ack(1);
    bus.unregister("gone");
    for (const id of ids) {
      bus.register({ id, role: "worker", team: ids[0] as string });
      for (const chain of ["data", "control"] as const) this.inboxes.push({ id, chain, unread: [] });
    }
    for (let left = 15 + random.below(25); left > 0; left--) {
      const inbox = this.inboxes[random.below(this.inboxes.length)] as Inbox;
      const large = this.kind === "blob" ? 12 : this.kind === "mixture" ? 15 : 50;
      this.send(bus, inbox, random.below(large) === 0 ? 20_000 + random.below(20_000) : random.below(1500));
      if (random.below(12) === 0) this.take(bus, this.inboxes[random.below(this.inboxes.length)] as Inbox);
    }
    if (this.kind === "blob") this.send(bus, this.inboxes[0] as Inbox, 30_000);
  }

  private send(bus: Bus, inbox: Inbox, bytes: number): void {
    const n = ++this.count;
    const from = `s${this.random.below(3)}`;
    const payload = { n, fill: String(n % 10).repeat(bytes) };
    const sent = bus.send({ from, to: inbox.id, type: "t", payload, chain: inbox.chain });
    check(sent.status === "accepted", `a send to ${inbox.id} is ${JSON.stringify(sent)}`);
    inbox.unread.push({ n, from, payload, sequence: sent.sequence });
    this.tally.accepted++;
  }

  private take(bus: Bus, inbox: Inbox): void {
    const lease = bus.lease(inbox.id, inbox.chain) as Lease;
    const got = lease.read(1 + this.random.below(4)).length;
    lease.ack(got);
    lease.release();
    inbox.unread.splice(0, got);
    this.tally.received += got;
  }

  private readAhead(bus: Bus, inbox: Inbox): void {
    const lease = bus.lease(inbox.id, inbox.chain) as Lease;
    this.leases.set(inbox, lease);
    lease.read(1 + this.random.below(4));
  }

  /** Finds the bytes of every message in the segments. */
  private locate(): void {
    for (const file of shardFiles(this.dir, /^segment-/)) {
      const bytes = readFileSync(file);
      const word = (at: number, n: number): number => bytes.readUInt32LE(at + 4 * n);
      for (let at = SEGMENT_HEADER_BYTES; at < bytes.length && word(at, R.commit) !== 0; at += word(at, R.commit)) {
        const end = at + RECORD_HEADER_BYTES + word(at, R.bodyBytes);
        const body = JSON.parse(bytes.toString("utf8", at + RECORD_HEADER_BYTES, end)) as {
          blob?: string;
          payload?: { n: number };
        };
        const blob = body.blob === undefined ? undefined : `${this.dir}/blobs/${body.blob}`;
        const text = blob === undefined ? body : readBlob(blob);
        if (text?.payload?.n !== undefined) this.extents.set(text.payload.n, { file, at, end, blob });
      }
    }
  }

  private damage(): void {
    const { dir, kind, random } = this;
    const files: Record<string, () => string[]> = {
      segment: () => shardFiles(dir, /^segment-/),
      index: () => shardFiles(dir, /^index$/),
      pairs: () => shardFiles(dir, /^pairs-/),
      meta: () => [`${dir}/meta`],
      blob: () => readdirSync(`${dir}/blobs`).map((name) => `${dir}/blobs/${name}`),
    };
    const usual = ["segment", "index", "pairs", "blob"] as const;
    const times = kind === "mixture" || kind === "mapped" ? 1 + random.below(3) : 1;
    for (let n = 0; n < times; n++) {
      const one = kind === "mixture" || kind === "mapped" ? (usual[random.below(4)] as string) : kind;
      const paths = (files[one] as () => string[])();
      if (paths.length > 0) this.overwrite(paths[random.below(paths.length)] as string);
    }
  }

  /** Changes bytes of a file where it is, so that who has it mapped sees it too. Mostly where something lies. */
  private overwrite(path: string): void {
    const { random } = this;
    const before = readFileSync(path);
    const after = Buffer.from(before);
    const filled: number[] = [];
    const words = new Uint32Array(before.buffer, before.byteOffset, before.length >>> 2);
    for (let word = 0; word < words.length; word++) if (words[word] !== 0) filled.push(4 * word);
    const touched: number[] = [];
    const put = (at: number, value: number): void => {
      after[at] = value;
      touched.push(at);
    };
    const place = (): number =>
      random.below(4) === 0 || filled.length === 0
        ? random.below(after.length)
        : Math.min(after.length - 1, (filled[random.below(filled.length)] as number) + random.below(4));
    const how = random.below(5);
    const bytes = 1 + random.below(64);
    if (how === 0) for (let n = 0; n < bytes; n++) put(place(), random.below(256));
    else if (how === 1) {
      for (let n = random.below(8); n >= 0; n--) {
        const at = place();
        put(at, (after[at] as number) ^ (1 << random.below(8)));
      }
    } else {
      const from = place();
      for (let at = from; at < Math.min(from + bytes, after.length); at++)
        put(at, how === 2 ? random.below(256) : how === 3 ? 0 : 0xff);
    }
    const hit = this.hits.get(path) ?? new Set<number>();
    for (const at of touched) if (after[at] !== before[at]) hit.add(at);
    this.hits.set(path, hit);
    if (path.endsWith("/index")) this.noteSlots(before, hit);
    writeFileSync(path, after, { flag: "r+" });
  }

  /** Notes whose slots were hit where they say whose they are. */
  private noteSlots(index: Buffer, hit: ReadonlySet<number>): void {
    for (const at of hit) {
      if (at < SLOTS_BYTE) continue;
      const within = (at - SLOTS_BYTE) % SLOT_BYTES;
      // What does not say who the tenant is can be made again.
      if (within < SLOT_ID_BYTE && !IDENTITY.includes(within >>> 2)) continue;
      const idAt = at - within + SLOT_ID_BYTE;
      this.slotsHit.add(index.toString("latin1", idAt + 1, idAt + 1 + (index[idAt] as number)));
    }
  }

  private mustRefuse(): void {
    if (this.hits.get(`${this.dir}/meta`)?.size === 0) return;
    try {
      openBus(this.dir).close();
    } catch (error) {
      check(error instanceof CfnError && error.code === "unavailable", `opening threw ${String(error)}`);
      check(error.message.includes("meta") && error.remedy !== "", `it says "${error.message}" and "${error.remedy}"`);
      this.tally.refused++;
      return;
    }
    throw new Error("a damaged meta file was believed");
  }

  private use(bus: Bus): void {
    const { random } = this;
    // Which call meets the damage first differs.
    const first = [
      () => void bus.sweep(),
      () => void bus.agents(),
      () => void bus.register({ id: "new", role: "guest" }),
      () => void bus.peek((this.inboxes[0] as Inbox).id, "data", 10),
      () => undefined,
    ][random.below(5)] as () => void;
    try {
      first();
    } catch (error) {
      check(error instanceof CfnError && error.code === "not_found", `the first call threw ${String(error)}`);
    }
    let missing = 0;
    const gone = new Set<string>();
    for (const inbox of this.inboxes) {
      if (random.below(3) === 0) this.sendMore(bus, inbox);
      if (bus.has(inbox.id)) missing += this.readOut(bus, inbox);
      else {
        gone.add(inbox.id);
        missing += this.lose(inbox);
      }
    }
    const known = new Set(["new", ...this.inboxes.map(({ id }) => id)]);
    const strange = bus.agents().filter(({ id }) => !known.has(id));
    check(strange.length === 0, `agents that nobody registered: ${JSON.stringify(strange)}`);
    const { damaged } = bus.sweep();
    check(damaged === bus.damaged(), `sweep counts ${damaged} places, the bus ${bus.damaged()}`);
    check(
      damaged > 0 || (missing === 0 && !(this.hosted && gone.size > 0)),
      `${missing} messages are missing and no damage is reported`,
    );
    // What was mended stays so.
    for (const inbox of this.inboxes) {
      if (!bus.has(inbox.id)) continue;
      this.sendMore(bus, inbox);
      check(
        inbox.unread.length === 0 || this.readOut(bus, inbox) === 0,
        `a message to ${inbox.id} after the repair is missing`,
      );
    }
    check(bus.sweep().damaged === damaged, "damage was found again after it had been mended");
    if (damaged > 0) this.tally.reported++;
    this.tally.missing += missing;
    this.tally.agentsGone += gone.size;
    for (const lease of this.leases.values()) lease.release();
    bus.close();
  }

  /** An agent whose slot was hit; or one without a host whose messages were all hit, or read: such a slot is given back. */
  private mayBeGone(id: string): void {
    if (this.slotsHit.has(id)) return;
    check(!this.hosted, `${id} is gone, and its slot was not hit`);
    for (const inbox of this.inboxes) if (inbox.id === id) this.mayMiss(inbox, inbox.unread);
  }

  /** A later message; nothing of it is damaged. The agent may be gone, if that is the damage. */
  private sendMore(bus: Bus, inbox: Inbox): void {
    const n = ++this.count;
    const payload = { n, fill: "later" };
    const sent = bus.send({ from: "s0", to: inbox.id, type: "t", payload, chain: inbox.chain });
    if (sent.status === "gone") this.mayBeGone(inbox.id);
    else {
      check(sent.status === "accepted", `a send to ${inbox.id} is ${JSON.stringify(sent)}`);
      inbox.unread.push({ n, from: "s0", payload, sequence: sent.sequence });
      this.tally.accepted++;
    }
  }

  /** Reads an inbox to its end. How many messages that had been hit are missing. */
  private readOut(bus: Bus, inbox: Inbox): number {
    const held = this.leases.get(inbox);
    const there = this.slotsHit.has(inbox.id) ? (held?.depth() ?? 0) : undefined;
    // That look may have been the first one at the damage.
    if (!bus.has(inbox.id)) return this.lose(inbox);
    if (held !== undefined && there !== undefined && there < bus.depth(inbox.id, inbox.chain)) {
      // Nothing was left that said the slot's generation: the lease is one on an earlier tenant, as after a new start.
      held.release();
      this.leases.delete(inbox);
    }
    const lease = this.leases.get(inbox) ?? this.leaseOf(bus, inbox);
    if (lease === "gone") return this.lose(inbox);
    const got: Message[] = [];
    for (let round = 0; ; round++) {
      check(round < 1000, `the inbox of ${inbox.id} has no end`);
      const some: Delivery[] = lease.read(1 + this.random.below(20));
      if (some.length === 0) break;
      const taken = 1 + this.random.below(some.length);
      got.push(...some.slice(0, taken).map(({ message }) => message));
      lease.ack(taken);
    }
    check(lease.depth() === 0, `${lease.depth()} messages to ${inbox.id} are counted and not to be had`);
    if (!this.leases.has(inbox)) lease.release();
    // The first read may have been the first look at what says whose the slot is.
    const mayBeLost = this.hosted || this.slotsHit.has(inbox.id);
    if (mayBeLost && got.length === 0 && !bus.has(inbox.id)) return this.lose(inbox);
    return this.compare(inbox, got);
  }

  /** "gone" where the look at the slot before the lease was the first one at the damage. */
  private leaseOf(bus: Bus, { id, chain }: Inbox): Lease | "gone" {
    try {
      const lease = bus.lease(id, chain);
      check(lease !== undefined, `the inbox of ${id} is held`);
      return lease as Lease;
    } catch (error) {
      check(error instanceof CfnError && error.code === "not_found", `the lease of ${id} threw ${String(error)}`);
      return "gone";
    }
  }

  /** The agent was found to be gone; how many messages it misses. */
  private lose(inbox: Inbox): number {
    this.mayBeGone(inbox.id);
    return inbox.unread.splice(0).length;
  }

  private compare(inbox: Inbox, got: readonly Message[]): number {
    const expected = inbox.unread;
    inbox.unread = [];
    let at = 0;
    let missing = 0;
    for (const message of got) {
      const n = (message.payload as { n?: number } | null)?.n;
      const found = expected.findIndex((sent) => sent.n === n);
      check(found >= 0, `message ${n} to ${inbox.id} was taken before or sent to somebody else`);
      check(found >= at, `message ${n} to ${inbox.id} comes twice or out of order`);
      const sent = expected[found] as Sent;
      const same =
        message.to === inbox.id &&
        message.from === sent.from &&
        message.sequence === sent.sequence &&
        Bun.deepEquals(message.payload, sent.payload);
      check(same, `message ${n} to ${inbox.id} is not what was sent`);
      missing += this.mayMiss(inbox, expected.slice(at, found));
      at = found + 1;
    }
    this.tally.received += got.length;
    return missing + this.mayMiss(inbox, expected.slice(at));
  }

  private mayMiss(inbox: Inbox, absent: readonly Sent[]): number {
    for (const { n } of absent) check(this.isHit(n), `message ${n} to ${inbox.id} is missing, and it was not hit`);
    return absent.length;
  }

  /** Whether bytes were changed that say what the message is; those that say how it is linked can be made anew. */
  private isHit(n: number): boolean {
    const extent = this.extents.get(n);
    if (extent === undefined) return false;
    const { file, at, end, blob } = extent;
    if (blob !== undefined && (this.hits.get(blob)?.size ?? 0) > 0) return true;
    for (const byte of this.hits.get(file) ?? [])
      if (byte >= at && byte < end && (byte < at + 4 * R.next || byte >= at + 4 * R.inbox)) return true;
    return false;
  }
}

function readBlob(path: string): { payload?: { n: number } } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { payload?: { n: number } };
  } catch {
    return undefined; // It was taken, and its file removed.
  }
}
