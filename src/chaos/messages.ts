/**
 * The checker of the messages' history: knows nothing of the bus, only what senders and receivers wrote down. Pure.
 *
 * A sender writes which messages it is about to send, then those the bus accepted; a receiver writes each it took before it
 * acknowledges it. Killed in between, a sender leaves messages of unknown outcome: they may be received or not. A receiver
 * leaves messages that are handed over again, and marked so (`attempt` above 1).
 */
import { limits } from "../limits.ts";
import type { LetterName } from "./letter.ts";

/** This life of `from` began to send messages 1 to `n` to `to`. */
export interface Attempted extends LetterName {
  readonly to: string;
}

export interface Accepted {
  readonly msgId: string;
  readonly to: string;
}

export interface Receipt extends LetterName {
  readonly inbox: string;
  readonly msgId: string;
  readonly sequence: number;
  /** How often it has been handed over, this time included. */
  readonly attempt: number;
  readonly whole: boolean;
}

export interface History {
  readonly attempted: readonly Attempted[];
  readonly accepted: readonly Accepted[];
  /** How often a sender was told that there is no room. */
  readonly refused: number;
  /** Of each inbox in the order of taking. */
  readonly receipts: readonly Receipt[];
}

export interface MessageCounts {
  /** Begun to be sent. */
  readonly sent: number;
  /** Known to be accepted by the bus. */
  readonly accepted: number;
  /** Begun and not known to be accepted: refused, or the sender died before it wrote the outcome down. */
  readonly unknown: number;
  /** How often a message was refused because an inbox was full; its sender tries again. */
  readonly refused: number;
  /** Of the unknown ones those that were received. */
  readonly unknown_received: number;
  /** Different messages received. */
  readonly received: number;
  /** Handed over again, marked as such, because a receiver died between writing down and acknowledging. */
  readonly redelivered: number;
  /** Accepted and never received. */
  readonly lost: number;
  /** Received twice without the mark, or one message under two ids. */
  readonly duplicated: number;
  /** Received after a later one of the same sender in the same inbox. */
  readonly reordered: number;
  /** Received, and not as it was written. */
  readonly torn: number;
  /** Received, and nobody sent it there. */
  readonly forged: number;
  /** What is wrong, the first few. */
  readonly examples: readonly string[];
}

class Checker {
  private readonly tried = new Map<string, number>();
  private readonly acceptedIds = new Map<string, string>();
  private readonly seen = new Set<string>();
  private readonly letters = new Set<string>();
  /** By inbox and sender: the latest received. */
  private readonly latest = new Map<string, Receipt>();
  private readonly examples: string[] = [];
  private readonly counts = {
    unknown_received: 0,
    redelivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    torn: 0,
    forged: 0,
  };

  constructor(private readonly history: History) {
    for (const { from, generation, to, n } of history.attempted) {
      const stream = `${from} ${generation} ${to}`;
      this.tried.set(stream, Math.max(n, this.tried.get(stream) ?? 0));
    }
    for (const { msgId, to } of history.accepted) this.acceptedIds.set(msgId, to);
    for (const receipt of history.receipts) this.receive(receipt);
    for (const [msgId, to] of this.acceptedIds) if (!this.seen.has(msgId)) this.wrong("lost", `${msgId} to ${to}`);
  }

  result(): MessageCounts {
    const sent = [...this.tried.values()].reduce((sum, n) => sum + n, 0);
    const accepted = this.acceptedIds.size;
    const unknown = Math.max(0, sent - accepted);
    const { refused } = this.history;
    return { sent, accepted, unknown, refused, received: this.seen.size, ...this.counts, examples: this.examples };
  }

  private wrong(what: "lost" | "duplicated" | "reordered" | "torn" | "forged", which: string): void {
    this.counts[what]++;
    if (this.examples.length < limits.chaosExamples) this.examples.push(`${what}: ${which}`);
  }

  private receive(receipt: Receipt): void {
    const { inbox, from, generation, n, msgId, attempt, whole } = receipt;
    const which = `${msgId} (${from}/${generation}/${n}) in ${inbox}`;
    if (this.seen.has(msgId)) {
      if (attempt > 1) this.counts.redelivered++;
      else this.wrong("duplicated", which);
      return;
    }
    this.seen.add(msgId);
    const expected = this.acceptedIds.get(msgId);
    if (expected === undefined) this.counts.unknown_received++;
    if (!whole) {
      this.wrong("torn", which);
      return;
    }
    const isMeant = n >= 1 && n <= (this.tried.get(`${from} ${generation} ${inbox}`) ?? 0);
    if (!isMeant || (expected ?? inbox) !== inbox) this.wrong("forged", which);
    const letter = `${from} ${generation} ${inbox} ${n}`;
    if (this.letters.has(letter)) this.wrong("duplicated", which);
    this.letters.add(letter);
    this.order(receipt, which);
  }

  private order(receipt: Receipt, which: string): void {
    const pair = `${receipt.inbox} ${receipt.from}`;
    const before = this.latest.get(pair);
    const isLater =
      before === undefined ||
      (receipt.sequence > before.sequence &&
        (receipt.generation > before.generation || (receipt.generation === before.generation && receipt.n > before.n)));
    if (isLater) this.latest.set(pair, receipt);
    else this.wrong("reordered", which);
  }
}

export function checkMessages(history: History): MessageCounts {
  return new Checker(history).result();
}
