/**
 * Handing a line over to whoever reads stdout. Into a pipe, a line is handed over when the reader has taken it out: were
 * the next ones written ahead, `cfn recv | head -1` would lose those that `head` left in the pipe.
 */
import { limits } from "../src/limits.ts";
import { monotonicMs, sleepMs } from "../src/os/clock.ts";
import { isPipe, isReaderGone, unreadBytes } from "../src/os/pipe.ts";
import { OutputClosed, print } from "./output.ts";

const PAUSE_LEAST_MS = 0.05;
const PAUSE_MOST_MS = 10;

let inStep: boolean | undefined;

/**
 * Returns when the reader has the text; throws OutputClosed if it went away before. Unless `patient`, a reader that takes
 * nothing for `limits.handOverMs` is one that reads only after we have ended: from then on "written" is enough.
 */
export function handOver(text: string, patient: boolean): void {
  print(text);
  inStep ??= isPipe(1);
  if (!inStep) return;
  const until = monotonicMs() + (patient ? Number.POSITIVE_INFINITY : limits.handOverMs);
  for (let pauseMs = PAUSE_LEAST_MS; unreadBytes(1) > 0; pauseMs = Math.min(pauseMs * 1.5, PAUSE_MOST_MS)) {
    if (isReaderGone(1)) {
      // It may have taken the line and left since the look above; from now on the count stands.
      if (unreadBytes(1) === 0) return;
      throw new OutputClosed("stdout is closed");
    }
    if (monotonicMs() >= until) {
      inStep = false;
      return;
    }
    sleepMs(pauseMs);
  }
}
