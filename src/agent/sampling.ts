/** What follows from one look at an agent's process after another. Pure. */
import type { RosterSample } from "../bus/roster.ts";

/** One look. */
export interface Seen {
  /** The letter of /proc. */
  readonly state: string;
  readonly stopped: boolean;
  readonly cpuTicks: number;
  readonly outputBytes: number;
  /** Of a stopped one: changes whenever it has run; 0 if unknown. */
  readonly mark: number;
}

/**
 * The sample of `now`, ms of the machine's clock. A process that is seen for the first time has just made progress. One counts as
 * stopped since the first of the looks at which it was, if it has not run in between: so it is never said to have been
 * stopped for longer than it was.
 */
export function sampleAfter(before: RosterSample | undefined, seen: Seen, now: number): RosterSample {
  const { state, stopped, cpuTicks, outputBytes, mark } = seen;
  const moved = before === undefined || cpuTicks !== before.cpuTicks || outputBytes !== before.outputBytes;
  const still = before?.stoppedSince !== undefined && before.mark === mark;
  const stoppedSince = stopped ? (still ? before.stoppedSince : now) : undefined;
  return { at: now, state, progressAt: moved ? now : before.progressAt, stoppedSince, mark, cpuTicks, outputBytes };
}

/** The same after the one who looks was itself held up for `lostMs`: that time proves nothing against anybody. */
export function excused(sample: RosterSample, lostMs: number): RosterSample {
  const { progressAt, stoppedSince } = sample;
  return {
    ...sample,
    progressAt: progressAt + lostMs,
    stoppedSince: stoppedSince === undefined ? undefined : stoppedSince + lostMs,
  };
}
