/**
 * Reads a run's tasks: as many as it has room for and no faster than its results are printed, in bursts, so that what was read is
 * handed over and results and signals get their turn.
 */
import { limits } from "../limits.ts";
import { nextTurn } from "../os/stream.ts";
import type { RunEvent } from "./decide.ts";
import type { TaskSource } from "./source.ts";

/** Whoever takes the tasks. */
export interface Taker {
  readonly state: { readonly ending: boolean; readonly room: number };
  /** Results that wait to be printed. */
  readonly output: { readonly held: number };
  readonly recorder: { has(seq: number): boolean };
  readonly handle: (event: RunEvent) => void;
  /** Hands over what it was given. */
  readonly flush: () => void;
  /** Resolves when there may be room, or the run is ending. */
  readonly change: () => Promise<void>;
  readonly onWarning: (text: string) => void;
}

/** Tasks that are read before they are handed over; fewer at first: agents can start. */
const BURST = 256;
const FIRST_BURST = 16;

/**
 * Reads on until the list or the run ends, and closes the source; whether it was the list. Tasks that have their result are passed
 * over. Throws what the source throws.
 */
export async function readTasks(source: TaskSource, taker: Taker): Promise<boolean> {
  const { state, output, recorder } = taker;
  let reading: Promise<void> | undefined;
  let handled = 0;
  let burst = FIRST_BURST;
  try {
    while (!state.ending) {
      if (state.room === 0 || output.held > limits.resultsHeld) {
        taker.flush();
        await taker.change();
        continue;
      }
      const next = source.next();
      if (next === "end") return true;
      if (next === "wait") {
        taker.flush();
        reading ??= source.more().finally(() => {
          reading = undefined;
        });
        // Input may be long in coming; a run that ends meanwhile does not wait for it.
        await Promise.race([reading, taker.change()]);
      } else if (!recorder.has(next.seq)) taker.handle({ type: "task_available", task: next });
      if (++handled === burst) {
        handled = 0;
        burst = Math.min(2 * burst, BURST);
        taker.flush();
        await nextTurn();
      }
    }
    reading?.catch((error: unknown) => taker.onWarning(`reading tasks: ${error}`));
    return false;
  } finally {
    source.close();
  }
}
