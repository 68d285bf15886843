/** A thread of the simulator: runs the schedules that `crew.ts` gives it, of whichever program. */
import type { Counters } from "./kernel.ts";
import { Simulator } from "./schedule.ts";

export interface Job {
  readonly program: string;
  readonly text: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** Stop at the first schedule that goes wrong. */
  readonly untilWrong: boolean;
}

export interface Failure {
  readonly schedule: number;
  readonly wrong: readonly string[];
}

export interface Outcome {
  readonly schedules: number;
  readonly steps: number;
  readonly hash: number;
  readonly failures: readonly Failure[];
  readonly counters: Counters;
}

const FAILURES_LISTED = 5;
let latest: { readonly key: string; readonly simulator: Simulator } | undefined;

function runJob({ program, text, seed, from, count, untilWrong }: Job): Outcome {
  const key = `${program} ${seed}`;
  if (latest?.key !== key) latest = { key, simulator: new Simulator(text, seed) };
  const { simulator } = latest;
  const failures: Failure[] = [];
  let steps = 0;
  let hash = 0;
  let schedules = 0;
  for (let schedule = from; schedule < from + count; schedule++) {
    const verdict = simulator.run(schedule);
    schedules++;
    steps += verdict.steps;
    hash = (hash + verdict.hash) >>> 0;
    if (verdict.wrong.length === 0) continue;
    failures.push({ schedule, wrong: verdict.wrong.slice(0, 10) });
    if (untilWrong || failures.length === FAILURES_LISTED) break;
  }
  return { schedules, steps, hash, failures, counters: simulator.takeCounters() };
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<Job>) => self.postMessage(runJob(data));
