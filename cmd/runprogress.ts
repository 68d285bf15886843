/** The progress line of `cfn run`: on a terminal one line that is rewritten, elsewhere a line now and then. */
import type { RunObserver } from "../src/coordinator/observer.ts";
import { progressText } from "../src/coordinator/progress.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { writeAll } from "../src/os/file.ts";
import { isTerminal } from "../src/os/terminal.ts";

const PLAIN_EVERY_MS = 5000;
const encoder = new TextEncoder();

export interface ProgressLine {
  readonly observer: RunObserver;
  readonly clear: () => void;
}

/** On a terminal also unasked, unless the agents' output goes to it as well. */
export function progressLine(asked: boolean): ProgressLine | undefined {
  const terminal = isTerminal(2);
  if (!asked && !(terminal && !isTerminal(1))) return undefined;
  let last = Number.NEGATIVE_INFINITY;
  const plain = (text: string): void => {
    const now = monotonicMs();
    if (now - last < PLAIN_EVERY_MS) return;
    last = now;
    writeAll(2, encoder.encode(`${text}\n`));
  };
  const rewritten = (text: string): void => void writeAll(2, encoder.encode(`\r\x1b[K${text}`));
  const show = terminal ? rewritten : plain;
  return {
    observer: { look: (look) => show(progressText(look)) },
    clear: () => void (terminal && writeAll(2, encoder.encode("\r\x1b[K"))),
  };
}
