/** One role's mail: taking messages from its control chain, and sending with patience. */
import type { Bus, Delivery, Lease } from "../bus/contract.ts";
import { CfnError, orLater } from "../errors.ts";
import type { Draft, Message } from "../message/message.ts";

/** Few enough that what they set going (a coordinator starts an agent for each task) does not keep the loop long. */
const READ_MOST = 32;
/** Of messages that carry many tasks or results there are fewer. */
const READ_BYTES = 16 * 1024;
/** The first batches are small, so that whoever takes them begins; each further one is twice as large. */
const FIRST_BATCH = 16;
const SEND_MOST = 1024;

export class Inbox {
  private readonly lease: Lease;
  private taking = false;
  /** Handled, and not taken off the bus yet. */
  private owed = 0;

  /** `id` must be registered by this process. */
  constructor(bus: Bus, id: string) {
    const lease = bus.lease(id, "control");
    if (lease === undefined) throw new CfnError("unavailable", `another process reads the control inbox of ${id}`);
    this.lease = lease;
  }

  /**
   * What has arrived, at most `READ_MOST` messages; the next call gives them again until they are acknowledged. Nothing where the bus
   * cannot be read just then: whoever reads an inbox looks again at each tick.
   */
  read(): Delivery[] {
    const read = orLater(() => {
      this.settle();
      return this.lease.read(READ_MOST, READ_BYTES);
    });
    return read ?? [];
  }

  /** Takes them off the bus; where that cannot be now, before the next are read. */
  ack(count: number): void {
    this.owed += count;
    orLater(() => this.settle());
  }

  private settle(): void {
    if (this.owed > 0) this.lease.ack(this.owed);
    this.owed = 0;
  }

  /**
   * Hands over what has arrived and acknowledges it afterwards. False if there was nothing; so it is from within `handle`, since
   * what is being handed over would be read again there, and acknowledging it twice would take the next ones unread.
   */
  take(handle: (message: Message) => void): boolean {
    if (this.taking) return false;
    this.taking = true;
    try {
      const deliveries = this.read();
      for (const { message } of deliveries) handle(message);
      globalThis.crashPoint?.("mail.handled");
      if (deliveries.length > 0) this.ack(deliveries.length);
      return deliveries.length > 0;
    } finally {
      this.taking = false;
    }
  }

  release(): void {
    this.lease.release();
  }
}

export interface Posted {
  /** The id under which the message is on the bus. */
  readonly msgId: string;
  readonly draft: Draft;
}

/**
 * Sends in order, and keeps what the bus refuses for want of space until the next `flush`. What it can hold is bounded by
 * its callers: there are never more tasks and results under way than the coordinators have capacity for.
 */
export class Postbox {
  private waiting: Draft[] = [];

  constructor(
    private readonly bus: Bus,
    /** Accepted by the bus. */
    private readonly onSent: (sent: Posted) => void = () => undefined,
    /** The recipient is not there any more; the message is dropped. */
    private readonly onGone: (draft: Draft) => void = () => undefined,
  ) {}

  get size(): number {
    return this.waiting.length;
  }

  add(draft: Draft): void {
    this.waiting.push(draft);
  }

  /** True if nothing waits any more. Whatever it throws, what the bus has not accepted waits still. */
  flush(): boolean {
    for (let most = FIRST_BATCH; this.waiting.length > 0; most = Math.min(2 * most, SEND_MOST)) {
      const batch = this.waiting.slice(0, most);
      // Undefined where the bus cannot take any just then.
      const outcomes = orLater(() => this.bus.sendBatch(batch));
      if (outcomes === undefined) return false;
      globalThis.crashPoint?.("post.sent");
      this.waiting.splice(0, batch.length);
      const refused: Draft[] = [];
      outcomes.forEach((sent, n) => {
        const draft = batch[n] as Draft;
        if (sent.status === "accepted" || sent.status === "duplicate") this.onSent({ msgId: sent.msgId, draft });
        else if (sent.status === "gone") this.onGone(draft);
        else refused.push(draft);
      });
      // Those after a refused one stay behind it, so that each recipient gets its messages in order.
      this.waiting.unshift(...refused);
      if (refused.length > 0) return false;
    }
    return true;
  }
}
