/** Durations counted in buckets whose bounds never change: those of several runs and processes can be added. Pure. */
import type { HistogramBucket } from "./exposition.ts";

/** By name what is measured, and what it says. The unit is in the name. */
export const durationMetrics = {
  queue: { name: "cfn_task_queue_wait_seconds", help: "From the publishing of a task to the start of its process." },
  run: { name: "cfn_task_run_seconds", help: "How long the process of an attempt ran." },
  result: { name: "cfn_result_wait_seconds", help: "From the end of a process to the counting of its result." },
} as const;

export type Phase = keyof typeof durationMetrics;

/** Seconds. */
const bounds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600,
] as const;
const boundsMs = bounds.map((bound) => bound * 1000);

/** Cumulative: each bucket holds the ones before it; above the last bound lies the rest of `count`. `sum` is in seconds. */
export interface Durations {
  readonly buckets: readonly HistogramBucket[];
  readonly sum: number;
  readonly count: number;
}

/**
 * Values that are held before they are counted: to sort many and look for the bounds among them costs a tenth of looking for
 * each one's. A run of hundreds of agents counts once, when it has ended.
 */
const HELD = 4096;

export class DurationHistogram {
  private readonly below = new Array<number>(bounds.length).fill(0);
  private readonly held = new Float64Array(HELD);
  private holds = 0;
  private sumMs = 0;
  private count = 0;

  /** Milliseconds; a clock that went backwards counts as 0. */
  add(ms: number): void {
    this.held[this.holds++] = ms;
    if (ms > 0) this.sumMs += ms;
    if (this.holds === HELD) this.fold();
  }

  durations(): Durations {
    this.fold();
    const buckets = bounds.map((le, n) => ({ le, count: this.below[n] as number }));
    return { buckets, sum: Math.round(this.sumMs * 1000) / 1e6, count: this.count };
  }

  private fold(): void {
    const sorted = this.held.subarray(0, this.holds).sort();
    this.holds = 0;
    const { length } = sorted;
    this.count += length;
    for (let n = 0, at = 0; n < boundsMs.length; n++) {
      at = at === length ? length : countUpTo(sorted, boundsMs[n] as number, at);
      (this.below[n] as number) += at;
    }
  }
}

/** How many of the sorted values are at most `most`; the first `from` are. */
function countUpTo(sorted: Float64Array, most: number, from: number): number {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}
