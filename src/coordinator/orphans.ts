/** Descendants that nobody waits for any more: what agents left behind, and the agents of a coordinator that died. */
import { monotonicMs, sleepMs } from "../os/clock.ts";
import { descendantsOf } from "../os/descendants.ts";
import { signalProcess } from "../os/process.ts";
import { reapNow } from "../os/reap.ts";
import { SIGKILL } from "../os/signals.ts";

const WAIT_MS = 1000;

/**
 * Kills every descendant of this process but those in the trees of `spared`, those that come up meanwhile too. Blocks, a
 * few milliseconds as a rule.
 *
 * @returns how many there were; `left` are the pids that are still there.
 */
export function endOrphans(spared: readonly number[]): { readonly ended: number; readonly left: readonly number[] } {
  const met = new Set<number>();
  const until = monotonicMs() + WAIT_MS;
  for (;;) {
    const kept = new Set(spared.flatMap((pid) => [pid, ...descendantsOf(pid)]));
    const orphans = descendantsOf(process.pid).filter((pid) => !kept.has(pid));
    for (const pid of orphans) {
      met.add(pid);
      signalProcess(pid, SIGKILL);
    }
    reapNow();
    if (orphans.length === 0 || monotonicMs() >= until) return { ended: met.size - orphans.length, left: orphans };
    sleepMs(1);
  }
}
