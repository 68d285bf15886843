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

export class DurationHistogram {
  private readonly counts = new Array<number>(bounds.length + 1).fill(0);
  private sumMs = 0;
  private count = 0;

  /** Milliseconds; a clock that went backwards counts as 0. */
  add(ms: number): void {
    let low = 0;
    let high = boundsMs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ms <= (boundsMs[middle] as number)) high = middle;
      else low = middle + 1;
    }
    (this.counts[low] as number)++;
    this.count++;
    if (ms > 0) this.sumMs += ms;
  }

  durations(): Durations {
    let below = 0;
    const buckets = bounds.map((le, n) => {
      below += this.counts[n] as number;
      return { le, count: below };
    });
    return { buckets, sum: Math.round(this.sumMs * 1000) / 1e6, count: this.count };
  }
}
