/**
 * Messages that found no room, by recipient. Of each recipient's only the first few are tried again: to try a block of
 * hundreds costs a sender a millisecond, and a reader that is slow makes room for a few at a time. Not one by one either: that a
 * sender wakes costs more than all that it then tries.
 */
import type { Draft } from "../src/message/message.ts";

const TRIED_LEAST = 64;

export class Backlog {
  private readonly queues = new Map<string, Draft[]>();
  /** Of each recipient's: doubled while there is room for all that are tried. */
  private most: number;

  /** `least`: how many of each recipient's are tried at first, and after a refusal. */
  constructor(
    drafts: readonly Draft[],
    private readonly least = TRIED_LEAST,
  ) {
    this.most = least;
    for (const draft of drafts) {
      const queue = this.queues.get(draft.to);
      if (queue === undefined) this.queues.set(draft.to, [draft]);
      else queue.push(draft);
    }
  }

  /** What is to be tried next: nothing, once all are accepted. In order per recipient. */
  next(): Draft[] {
    return [...this.queues.values()].flatMap((queue) => queue.slice(0, this.most));
  }

  /** What came of `next`. Where one was refused, so were those behind it. */
  tried(drafts: readonly Draft[], refused: readonly Draft[]): void {
    this.most = refused.length === 0 ? this.most * 2 : this.least;
    const kept = new Set(refused);
    for (const draft of drafts) {
      if (kept.has(draft)) continue;
      const queue = this.queues.get(draft.to) as Draft[];
      queue.shift();
      if (queue.length === 0) this.queues.delete(draft.to);
    }
  }

  get rest(): Draft[] {
    return [...this.queues.values()].flat();
  }

  /** The first of each recipient's. */
  get first(): Draft[] {
    return [...this.queues.values()].map((queue) => queue[0] as Draft);
  }

  /** Whose inboxes they wait for. */
  get recipients(): string[] {
    return [...this.queues.keys()];
  }
}
