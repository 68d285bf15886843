/** Where a run's tasks come from. */
import type { TaskSpec } from "./spec.ts";

export interface TaskSource {
  /** The next task; "wait" where input must come first, "end" after the last. Throws CfnError("malformed"). */
  next(): TaskSpec | "wait" | "end";
  /** Resolves when `next` will say more. */
  more(): Promise<void>;
  close(): void;
}

/** Without a task list: the command, once for each of `count` agents. */
export function commandForEach(command: readonly string[], count: number): TaskSource {
  let seq = 0;
  return {
    next: () => {
      if (seq === count) return "end";
      seq++;
      return { seq, id: String(seq), label: String(seq), run: command, priority: 0 };
    },
    more: () => Promise.resolve(),
    close: () => undefined,
  };
}
