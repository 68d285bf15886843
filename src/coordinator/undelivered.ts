/**
 * What becomes of the data messages that nobody has read when a run ends. All agents have ended by then; somebody else may still
 * be on the bus: an agent of `cfn agent`, a question that waits.
 *
 * The inboxes are closed first (`bus/closing.ts`): what has been accepted by then is all there is. Then each is taken to its last
 * message: a message is written down whole, after that it is acknowledged, so that a death in between writes some down twice and
 * loses none. Where its sender is still served, it also goes back to it: a message of type `undelivered`, which answers a question
 * at once that would otherwise wait for its timeout. So accepted = delivered + undelivered, by the bus's own counts.
 */
import type { Bus, Delivery, Lease } from "../bus/contract.ts";
import { limits } from "../limits.ts";
import type { Draft, Json, Message } from "../message/message.ts";
import { undeliveredType } from "../message/protocol.ts";
import { monotonicMs } from "../os/clock.ts";

/** The messages that agents sent each other. */
export interface MessageReport {
  readonly accepted: number;
  /** Taken by their readers, and acknowledged. */
  readonly delivered: number;
  readonly undelivered: number;
  /** Of the undelivered: taken back by their senders. */
  readonly returned: number;
  /** Of the undelivered, the first `limits.undeliveredListed`. */
  readonly undelivered_listed: readonly Pick<Message, "msg_id" | "from" | "to" | "type">[];
  readonly undelivered_omitted: number;
  /** Where the undelivered ones lie whole, a line each; null where there are none, or none could be written. */
  readonly undelivered_file: string | null;
  /** How many of them could not be written there: there is no journal, no space, or they are more than it takes. */
  readonly undelivered_unkept: number;
}

/** Where they are not counted. */
export const noMessages: MessageReport = {
  accepted: 0,
  delivered: 0,
  undelivered: 0,
  returned: 0,
  undelivered_listed: [],
  undelivered_omitted: 0,
  undelivered_file: null,
  undelivered_unkept: 0,
};

/** Keeps lines; where they are, or undefined if they could not be kept. */
export type KeepLines = (lines: string) => string | undefined;

const READ_MOST = 64;
const READ_BYTES = 1024 * 1024;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Closes the bus to data messages and takes every inbox to its last message. `id`: who returns them. */
export async function drainInboxes(bus: Bus, id: string, runId: string, keep: KeepLines): Promise<MessageReport> {
  const { accepted, unread } = bus.closeInboxes();
  globalThis.crashPoint?.("drain.closed");
  const returns = new Returns(bus, id, runId);
  const drain = new Drain(bus, returns, keep);
  // Those that are served first: what is returned to them then stays.
  const served = unread.filter((one) => returns.isServed(one));
  for (const one of served) await drain.empty(one);
  returns.begin();
  for (const one of unread) if (!served.includes(one)) await drain.empty(one);
  const returned = await returns.taken();
  const { undelivered, listed, file, unkept } = drain;
  return {
    accepted,
    delivered: accepted - undelivered,
    undelivered,
    returned,
    undelivered_listed: listed,
    undelivered_omitted: undelivered - listed.length,
    undelivered_file: file ?? null,
    undelivered_unkept: unkept,
  };
}

class Drain {
  undelivered = 0;
  unkept = 0;
  readonly listed: MessageReport["undelivered_listed"][number][] = [];
  file: string | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly returns: Returns,
    private readonly keep: KeepLines,
  ) {}

  async empty(id: string): Promise<void> {
    const lease = await this.leaseOf(id);
    if (lease === undefined) {
      // Its reader holds on to it and takes nothing: it is left what it has, and all is written down.
      if (this.bus.has(id))
        this.note(this.bus.peek(id, "data", limits.inboxMessages).map((message) => ({ message, bytes: 0 })));
      return;
    }
    for (let mail = lease.read(READ_MOST, READ_BYTES); mail.length > 0; mail = lease.read(READ_MOST, READ_BYTES)) {
      this.note(mail);
      globalThis.crashPoint?.("drain.kept");
      lease.ack(mail.length);
      globalThis.crashPoint?.("drain.taken");
      for (const delivery of mail) this.returns.add(delivery);
    }
    lease.release();
  }

  /** Undefined where somebody else reads it all the time. */
  private async leaseOf(id: string): Promise<Lease | undefined> {
    for (const until = monotonicMs() + limits.drainWaitMs; this.bus.has(id); await pause(limits.inboxRetryMs)) {
      const lease = this.bus.lease(id, "data");
      if (lease !== undefined || monotonicMs() >= until) return lease;
    }
    return undefined;
  }

  private note(mail: readonly Delivery[]): void {
    this.undelivered += mail.length;
    let lines = "";
    for (const { message } of mail) {
      lines += `${JSON.stringify(message)}\n`;
      const { msg_id, from, to, type } = message;
      if (this.listed.length < limits.undeliveredListed) this.listed.push({ msg_id, from, to, type });
    }
    if (lines === "") return;
    const file = this.keep(lines);
    if (file === undefined) this.unkept += mail.length;
    else this.file = file;
  }
}

/** Undelivered messages on their way back. */
class Returns {
  private readonly served = new Map<string, boolean>();
  /** Read out before any may be returned; further ones are only written down. */
  private early: Draft[] | undefined = [];
  /** By sender: how many its inbox took. */
  private readonly sent = new Map<string, number>();

  constructor(
    private readonly bus: Bus,
    private readonly id: string,
    private readonly runId: string,
  ) {}

  isServed(id: string): boolean {
    let served = this.served.get(id);
    if (served === undefined) {
      served = this.bus.isServed(id);
      this.served.set(id, served);
    }
    return served;
  }

  add({ message, bytes }: Delivery): void {
    const { from, to, msg_id, payload, ...rest } = message;
    if (from === to || !this.isServed(from)) return;
    const envelope = { msg_id, from, to, ...rest } as unknown as { readonly [key: string]: Json };
    // What is as large as can be does not fit into another.
    const whole = bytes > limits.payloadBytes - limits.recordBytes ? envelope : { ...envelope, payload };
    const draft: Draft = {
      from: this.id,
      to: from,
      type: undeliveredType,
      payload: whole,
      replyTo: msg_id,
      runId: this.runId,
    };
    if (this.early === undefined) this.send(draft);
    else if (this.early.length < limits.undeliveredListed) this.early.push(draft);
  }

  /** Whoever is served has been read out: from now on messages are returned. */
  begin(): void {
    const { early = [] } = this;
    this.early = undefined;
    for (const draft of early) this.send(draft);
  }

  private send(draft: Draft): void {
    if (this.bus.send(draft).status !== "accepted") return;
    this.sent.set(draft.to, (this.sent.get(draft.to) ?? 0) + 1);
  }

  /** How many have been taken, by those that read: the bus goes away, so they get a moment. */
  async taken(): Promise<number> {
    const unread = (): number => {
      let count = 0;
      for (const id of this.sent.keys()) if (this.bus.has(id)) count += this.bus.depth(id, "data");
      return count;
    };
    for (const until = monotonicMs() + limits.returnWaitMs; unread() > 0 && monotonicMs() < until; )
      await pause(limits.inboxRetryMs);
    return [...this.sent.values()].reduce((sum, count) => sum + count, 0) - unread();
  }
}
