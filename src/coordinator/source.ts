/** Where a run's tasks come from. */
import type { CfnError } from "../errors.ts";
import { statPath } from "../os/file.ts";
import type { TaskSpec } from "./spec.ts";

export interface TaskSource {
  /** The next task; "wait" where input must come first, "end" after the last. Throws CfnError("malformed"). */
  next(): TaskSpec | "wait" | "end";
  /** Resolves when `next` will say more. */
  more(): Promise<void>;
  close(): void;
}

/** How a list that came by a pipe is kept, and read again. */
export interface TaskCopy {
  /** Gets the bytes as they are read, before a task of theirs is given out; undefined at the end. */
  readonly copyInput?: (bytes: Uint8Array | undefined) => void;
  /** The copy to read instead. */
  readonly replayed?: string;
  /** What to say at its end where the copy has lost some of it. */
  readonly lost?: CfnError;
}

/** Whether the list can be read only once: stdin, a pipe, a device. */
export const comesOnce = (file: string): boolean => file === "-" || statPath(file, true)?.type !== "file";

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
