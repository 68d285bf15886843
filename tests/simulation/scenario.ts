/**
 * What the processes of a schedule do: drawn as they go, from the schedule's own randomness. Every call and its outcome is
 * written into the history. An actor outlives its process: restarted, it knows what it sent and never heard of.
 */
import type { CfnError } from "../../src/errors.ts";
import type { Chain, Draft } from "../../src/message/message.ts";
import type { Program, WovenBus, WovenLease } from "./bundle.ts";
import type { Happening, ReceivedMessage } from "./history.ts";
import type { Kernel } from "./kernel.ts";
import type { Steps } from "./steps.ts";

export const BUS = "/base/bus";
export const ids = ["a", "b", "c", "d", "e", "f"] as const;

interface Leased {
  readonly lease: WovenLease;
  readonly number: number;
}

/** A message that was sent and whose fate is not known. */
interface Pending {
  readonly message: string;
  readonly chain: Chain;
  readonly payload: string;
  sequence: number;
}

export interface Actor {
  /** Which of the processes it is; its pid is 100 + number. */
  readonly number: number;
  readonly program: Program;
  /** How likely each kind of doing is. */
  readonly leaning: Leaning;
  operations: number;
  /** By recipient: the sequence number of the last message that is known to be accepted; undefined where that is not known. */
  readonly lastSequence: Map<string, number | undefined>;
  readonly pending: Map<string, Pending[]>;
}

/** Weights of what an actor does. */
export type Leaning = Readonly<
  Record<"send" | "batch" | "serve" | "host" | "look" | "sweep" | "wait" | "together" | "close", number>
>;

export const leanings: readonly Leaning[] = [
  { send: 8, batch: 3, serve: 0, host: 1, look: 1, sweep: 0, wait: 0, together: 0, close: 0 },
  { send: 1, batch: 0, serve: 8, host: 1, look: 1, sweep: 0, wait: 1, together: 2, close: 0 },
  { send: 3, batch: 1, serve: 3, host: 4, look: 1, sweep: 1, wait: 0, together: 0, close: 0 },
  { send: 1, batch: 0, serve: 2, host: 2, look: 2, sweep: 3, wait: 0, together: 1, close: 1 },
];

/** What the actors of one schedule share. */
export interface Stage {
  readonly kernel: Kernel;
  readonly history: Happening[];
  messages: number;
  leases: number;
  calls: number;
}

/** One life of an actor: a process from its start to its end. */
export function* live(stage: Stage, actor: Actor): Steps<void> {
  let life: Life;
  try {
    life = new Life(stage, actor);
  } catch (error) {
    if (isExpected(error, stage.kernel)) return;
    throw error;
  }
  yield* life.run();
}

/** The bus may refuse a call for want of space, descriptors or memory, or because an agent is gone; for nothing else. */
function isExpected(error: unknown, { odds }: Kernel): boolean {
  const starved = odds.space + odds.descriptors + odds.memory > 0;
  return error instanceof Error && error.name === "CfnError" && ((error as CfnError).code === "not_found" || starved);
}

export class Life {
  private readonly bus: WovenBus;
  private readonly process: number;
  private readonly from: string;
  private readonly hosted = new Set<string>();
  private readonly held: Leased[] = [];

  constructor(
    private readonly stage: Stage,
    private readonly actor: Actor,
  ) {
    this.process = 100 + actor.number;
    this.from = `s${actor.number}`;
    this.bus = actor.program.openBus(BUS);
  }

  private get kernel(): Kernel {
    return this.stage.kernel;
  }

  *run(): Steps<void> {
    for (const [to, pending] of [...this.actor.pending]) yield* this.settle(to, pending);
    while (this.actor.operations-- > 0) {
      if (this.kernel.p()) yield 1;
      yield* this.guarded(this.act(this.draw()));
    }
    // Closing frees what it holds before the process has ended.
    for (const id of this.hosted) this.log({ ...this.at, kind: "leaving", id });
    for (const { number } of this.held) this.log({ ...this.at, kind: "released", lease: number });
    yield* this.guarded(this.bus.close());
  }

  private draw(): keyof Leaning {
    const { leaning } = this.actor;
    const kinds = Object.keys(leaning) as (keyof Leaning)[];
    let left = this.kernel.below(kinds.reduce((sum, kind) => sum + leaning[kind], 0));
    for (const kind of kinds) {
      left -= leaning[kind];
      if (left < 0) return kind;
    }
    return "send";
  }

  private act(kind: keyof Leaning): Steps<void> {
    switch (kind) {
      case "send":
        return this.send(1);
      case "batch":
        return this.send(2 + this.kernel.below(4));
      case "serve":
        return this.serve();
      case "host":
        return this.host();
      case "look":
        return this.look();
      case "sweep":
        return this.sweep();
      case "wait":
        return this.wait();
      case "together":
        return this.readTogether();
      case "close":
        return this.close();
    }
  }

  private *guarded(call: Steps<unknown>): Steps<void> {
    try {
      yield* call;
    } catch (error) {
      if (!isExpected(error, this.kernel)) throw error;
      this.kernel.count("threw");
      // Whatever was under way is of unknown outcome.
      for (const [to, pending] of [...this.actor.pending]) yield* this.settle(to, pending);
    }
  }

  private log(what: Happening): void {
    this.stage.history.push(what);
  }

  private get at(): { at: number; process: number } {
    return { at: this.kernel.steps, process: this.process };
  }

  private id(): string {
    return ids[this.kernel.below(this.kernel.below(3) === 0 ? ids.length : 3)] as string;
  }

  private chain(): Chain {
    return this.kernel.below(5) === 0 ? "control" : "data";
  }

  /** Short mostly, now and then too long for a record, or of characters that take several bytes. */
  private payload(number: number): string {
    const { kernel } = this;
    const kind = kernel.below(16);
    const length = kind < 9 ? kernel.below(24) : kind < 14 ? kernel.below(120) : 150 + kernel.below(300);
    return `${number}:${(kind % 5 === 4 ? "é" : String.fromCharCode(97 + (number % 26))).repeat(length)}`;
  }

  *send(count: number): Steps<void> {
    const { actor, stage } = this;
    const drafts: Draft[] = [];
    const sequences = new Map<string, number | undefined>();
    // One chain for all: which of a mixed batch got which number cannot be known after a death.
    const chain = this.chain();
    const call = stage.calls++;
    for (let n = 0; n < count; n++) {
      const to = n > 0 && this.kernel.below(2) === 0 ? (drafts[0] as Draft).to : this.id();
      const number = stage.messages++;
      const message = `${this.from}.${String(number).padStart(13, "0")}`;
      const payload = this.payload(number);
      const before = sequences.has(to) ? sequences.get(to) : actor.lastSequence.get(to);
      const sequence = before === undefined ? 0 : before + 1;
      sequences.set(to, before === undefined ? undefined : sequence);
      actor.pending.set(to, [...(actor.pending.get(to) ?? []), { message, chain, payload, sequence }]);
      drafts.push({ from: this.from, to, type: "t", payload, msgId: message, timestamp: 1, chain });
      this.log({ ...this.at, kind: "sending", message, from: this.from, to, chain, payload, sequence: 0 });
    }
    const outcomes = count === 1 ? [yield* this.bus.send(drafts[0] as Draft)] : yield* this.bus.sendBatch(drafts);
    outcomes.forEach((outcome, n) => {
      const { to, msgId = "" } = drafts[n] as Draft;
      const sequence = "sequence" in outcome ? outcome.sequence : 0;
      this.log({ ...this.at, kind: "sent", message: msgId, call, status: outcome.status, sequence });
      if (outcome.status === "accepted") actor.lastSequence.set(to, sequence);
      this.kernel.count(outcome.status === "full" ? `full ${outcome.what}` : outcome.status);
      actor.pending.delete(to);
    });
  }

  /** Sends again what has no outcome, under the sequence numbers it was meant to have; or gives it up. */
  private *settle(to: string, pending: readonly Pending[]): Steps<void> {
    const { actor } = this;
    const first = pending[0];
    if (first === undefined || first.sequence === 0 || this.kernel.below(4) === 0) {
      actor.pending.delete(to);
      actor.lastSequence.set(to, undefined);
      return;
    }
    yield* this.guarded(this.retry(to, pending));
  }

  private *retry(to: string, pending: readonly Pending[]): Steps<void> {
    const { actor } = this;
    // Should this call fail as well, it is given up: a second failure teaches nothing more.
    actor.pending.delete(to);
    actor.lastSequence.set(to, undefined);
    for (const { message, chain, payload, sequence } of pending) {
      this.log({ ...this.at, kind: "sending", message, from: this.from, to, chain, payload, sequence });
      const draft = { from: this.from, to, type: "t", payload, msgId: message, timestamp: 1, chain, sequence };
      const outcome = yield* this.bus.send(draft);
      const status = outcome.status;
      this.log({ ...this.at, kind: "sent", message, call: this.stage.calls++, status, sequence });
      this.kernel.count(`retry ${status}`);
      if (status !== "accepted" && status !== "duplicate") return;
      if (message === pending.at(-1)?.message) actor.lastSequence.set(to, sequence);
    }
  }

  private *lease(id: string, chain: Chain): Steps<Leased | undefined> {
    const lease = yield* this.bus.lease(id, chain);
    return lease && this.leased(lease, id, chain);
  }

  private leased(lease: WovenLease, id: string, chain: Chain): Leased {
    const number = this.stage.leases++;
    this.log({ ...this.at, kind: "leased", lease: number, id, chain });
    const one = { lease, number };
    this.held.push(one);
    return one;
  }

  private *release(one: Leased): Steps<void> {
    this.held.splice(this.held.indexOf(one), 1);
    this.log({ ...this.at, kind: "released", lease: one.number });
    yield* one.lease.release();
  }

  private received(number: number, deliveries: readonly { readonly message: Received }[]): void {
    const messages = deliveries.map(({ message }) => receivedOf(message));
    this.log({ ...this.at, kind: "received", lease: number, messages });
  }

  private *serve(): Steps<void> {
    const { kernel } = this;
    const old = kernel.below(3) === 0 ? this.held[0] : undefined;
    const one = old ?? (yield* this.lease(this.id(), this.chain()));
    if (one === undefined) return;
    for (let round = kernel.below(4); round >= 0; round--) yield* this.take(one, 1 + kernel.below(5));
    if (kernel.below(4) !== 0) yield* this.release(one);
  }

  /** Reads and acknowledges, mostly all of it. Returns how many were read. */
  *take(one: Leased, max: number): Steps<number> {
    const { lease, number } = one;
    const deliveries = yield* lease.read(max);
    this.received(number, deliveries);
    yield* this.acknowledge(one, deliveries.length);
    return deliveries.length;
  }

  /** How many of so many are acknowledged: mostly all. */
  private some(read: number): number {
    return this.kernel.below(4) === 0 ? this.kernel.below(read + 1) : read;
  }

  private *acknowledge(one: Leased, read: number): Steps<void> {
    const { lease, number } = one;
    const count = this.some(read);
    if (this.kernel.p()) yield 1;
    if (count === 0) return;
    this.log({ ...this.at, kind: "acking", lease: number, count });
    const more = this.kernel.below(4);
    const deliveries = more > 1 ? yield* lease.ack(count) : yield* lease.ackAndRead(count, 1 + more);
    this.log({ ...this.at, kind: "acked", lease: number, count });
    if (deliveries === undefined) return;
    this.received(number, deliveries);
    yield* this.acknowledge(one, deliveries.length);
  }

  /** Takes all that an inbox holds. */
  *drain(id: string): Steps<void> {
    for (const chain of ["data", "control"] as const) {
      const one = (yield* this.bus.has(id)) ? yield* this.lease(id, chain) : undefined;
      if (one === undefined) continue;
      while ((yield* this.take(one, 1 + this.kernel.below(9))) > 0);
      yield* this.release(one);
    }
  }

  private *readTogether(): Steps<void> {
    const wanted = ids.slice(0, 3);
    const leases = yield* this.bus.leaseAll(wanted, "data");
    const mine: Leased[] = [];
    for (let n = 0; n < wanted.length; n++) {
      const lease = leases[n];
      if (lease !== undefined) mine.push(this.leased(lease, wanted[n] as string, "data"));
    }
    const read = yield* this.bus.readAll(
      mine.map(({ lease }) => lease),
      1 + this.kernel.below(4),
    );
    for (let n = 0; n < mine.length; n++) this.received((mine[n] as Leased).number, read[n] ?? []);
    yield* this.acknowledgeTogether(
      mine,
      mine.map((_, n) => this.some(read[n]?.length ?? 0)),
    );
    for (const one of mine) yield* this.release(one);
  }

  private *acknowledgeTogether(all: readonly Leased[], counts: readonly number[]): Steps<void> {
    const acked = all.map(({ lease, number }, n) => ({ lease, number, count: counts[n] as number }));
    let some = acked.filter(({ count }) => count > 0);
    if (this.kernel.p()) yield 1;
    for (const { number, count } of some) this.log({ ...this.at, kind: "acking", lease: number, count });
    // What cannot be acknowledged just then is, like a host's, acknowledged again; at last its reader forgets it.
    for (let tries = 0; tries < 3 && some.length > 0; tries++) {
      const left = yield* this.bus.ackAll(
        some.map(({ lease }) => lease),
        some.map(({ count }) => count),
      );
      for (const [n, { number, count }] of some.entries())
        if (!left.includes(n)) this.log({ ...this.at, kind: "acked", lease: number, count });
      some = some.filter((_, n) => left.includes(n));
      if (some.length > 0) this.kernel.count("acknowledged again");
    }
  }

  *host(id = this.id()): Steps<void> {
    if (this.hosted.has(id) && this.kernel.below(2) === 0) {
      this.hosted.delete(id);
      this.log({ ...this.at, kind: "leaving", id });
      yield* this.bus.unregister(id);
      return;
    }
    this.log({ ...this.at, kind: "registering", id });
    const outcome = yield* this.bus.register({ id, role: "worker" });
    this.kernel.count(`registration ${outcome.status}`);
    if (outcome.status !== "registered") return;
    this.hosted.add(id);
    this.log({ ...this.at, kind: "hosting", id, incarnation: outcome.incarnation });
  }

  private *look(): Steps<void> {
    const id = this.id();
    const chain = this.chain();
    const how = this.kernel.below(4);
    if (how < 2) yield* this.bus.agents();
    // Again and again: it remembers whom it has seen.
    else if (how === 2) for (let left = 1 + this.kernel.below(3); left > 0; left--) yield* this.lookOn();
    if (!(yield* this.bus.has(id))) return;
    yield* this.bus.depth(id, chain);
    yield* this.bus.peek(id, chain, 3);
  }

  private *lookOn(): Steps<void> {
    this.log({ ...this.at, kind: "looking" });
    const agents = yield* this.bus.agentsSeen();
    this.log({ ...this.at, kind: "seen", agents });
    this.kernel.count("agents seen");
    // Others come and go between two looks.
    yield 1;
  }

  private *sweep(): Steps<void> {
    const swept = yield* this.bus.sweep();
    if (swept.damaged > 0)
      this.log({ ...this.at, kind: "wrong", what: "a sweep finds damage where nobody damaged anything" });
  }

  /** Nobody else's data message is taken from then on. */
  *close(): Steps<void> {
    const { accepted } = yield* this.bus.closeInboxes();
    this.log({ ...this.at, kind: "closed", accepted });
  }

  private *wait(): Steps<void> {
    const id = this.id();
    if (!(yield* this.bus.has(id))) return;
    const bell = (yield* this.bus.bell()) as unknown as WovenBell;
    yield* bell.arm(id, "data");
    if ((yield* this.bus.depth(id, "data")) === 0) yield* bell.waitSync(20);
    yield* bell.close();
  }
}

interface WovenBell {
  arm(id: string, chain: Chain): Steps<void>;
  waitSync(ms: number): Steps<void>;
  close(): Steps<void>;
}

type Received = {
  readonly msg_id: string;
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  readonly payload: unknown;
  readonly attempt?: number;
};

const receivedOf = ({ msg_id, from, to, sequence, payload, attempt = 1 }: Received): ReceivedMessage => ({
  message: msg_id,
  from,
  to,
  sequence,
  payload,
  attempt,
});
