/**
 * Counts deliveries by message id at the receiving end, in memory that grows with what is under way and not with what has
 * been. Of a message sent, the id is kept until its receiver has named it; of a received one, the sequence number of its
 * sender, which rises by one: a number met before is a duplicate.
 */

export interface DeliveryCounts {
  readonly expected: number;
  readonly delivered: number;
  readonly duplicates: number;
  /** Ids of messages sent and never received; of a result that never came, `result-of:` and the id of its task. */
  readonly lost: readonly string[];
  /** No longer expected because the coordinator that they were for, or were to come from, has died. */
  readonly withdrawn: number;
}

export class Tally {
  private expected = 0;
  private delivered = 0;
  private duplicates = 0;
  private withdrawn = 0;
  private readonly tasks = new Set<string>();
  private readonly results = new Set<string>();
  private readonly lastSequence = new Map<string, number>();

  /** A task message went out: its receipt is expected, and a result message for it. */
  taskSent(msgId: string): void {
    this.expected += 2;
    this.tasks.add(msgId);
    this.results.add(msgId);
  }

  /**
   * A result message was received. `taskMsgId` is the id by which its sender received the task, if it says so.
   * False if it is a duplicate, which the caller ignores.
   */
  resultReceived(from: string, sequence: number, taskMsgId: string | undefined): boolean {
    return this.isNew(from, sequence, 1) && this.answered(taskMsgId);
  }

  /** Whether a message with `count` results has not been received before; else they are duplicates, which the caller ignores. */
  isNew(from: string, sequence: number, count: number): boolean {
    const last = this.lastSequence.get(from) ?? 0;
    if (sequence <= last) {
      this.duplicates += count;
      return false;
    }
    this.lastSequence.set(from, sequence);
    return true;
  }

  /** One result of a message that `isNew`: as `resultReceived`. */
  answered(taskMsgId: string | undefined): boolean {
    if (taskMsgId === undefined || !this.results.delete(taskMsgId)) {
      this.duplicates++;
      return false;
    }
    if (this.tasks.delete(taskMsgId)) this.delivered++;
    this.delivered++;
    return true;
  }

  /**
   * The receiver of this task message has died: its result is not expected any more, nor its receipt, unless it is known to
   * have been `received`.
   */
  withdraw(taskMsgId: string, received: boolean): void {
    if (!this.results.delete(taskMsgId)) return;
    this.expected--;
    this.withdrawn++;
    if (!this.tasks.delete(taskMsgId)) return;
    if (received) this.delivered++;
    else {
      this.expected--;
      this.withdrawn++;
    }
  }

  /** What it costs does not grow with what is under way. */
  get counts(): Omit<DeliveryCounts, "lost"> {
    const { expected, delivered, duplicates, withdrawn } = this;
    return { expected, delivered, duplicates, withdrawn };
  }

  delivery(): DeliveryCounts {
    const lost = [...this.tasks, ...[...this.results].map((id) => `result-of:${id}`)];
    return { ...this.counts, lost };
  }
}

export function addDeliveries(parts: readonly DeliveryCounts[]): DeliveryCounts {
  return {
    expected: parts.reduce((sum, part) => sum + part.expected, 0),
    delivered: parts.reduce((sum, part) => sum + part.delivered, 0),
    duplicates: parts.reduce((sum, part) => sum + part.duplicates, 0),
    lost: parts.flatMap((part) => part.lost),
    withdrawn: parts.reduce((sum, part) => sum + part.withdrawn, 0),
  };
}

/** Delivered over expected; 1 where nothing was expected. */
export const deliveryRate = (counts: DeliveryCounts): number =>
  counts.expected === 0 ? 1 : counts.delivered / counts.expected;
