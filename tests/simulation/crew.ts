/** Shares schedules out among threads. What comes of a schedule does not depend on who runs it. */
import type { Counters } from "./kernel.ts";
import type { Failure, Job, Outcome } from "./worker.ts";

/** Schedules in one job: a fraction of a second. */
const AT_ONCE = 500;

export interface Result {
  readonly schedules: number;
  readonly steps: number;
  readonly hash: number;
  readonly failures: readonly Failure[];
  readonly counters: Counters;
  readonly seconds: number;
}

export interface Crew {
  /** `count` schedules of a program; ends early after a few that go wrong. */
  run(text: string, seed: number, count: number, onProgress?: (done: number) => void): Promise<Result>;
  /** For each program the first schedule, of at most `count`, that goes wrong. */
  catchAll(
    programs: ReadonlyMap<string, string>,
    seed: number,
    count: number,
    onCaught: (name: string, failure: Failure | undefined) => void,
  ): Promise<void>;
  dismiss(): void;
}

export function hire(size = Math.max(1, Math.min(2, navigator.hardwareConcurrency))): Crew {
  const workers = Array.from({ length: size }, () => new Worker(new URL("./worker.ts", import.meta.url).href));
  const ask = (worker: Worker, job: Job): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(job);
    });
  const together = async (work: (worker: Worker) => Promise<void>): Promise<void> => {
    await Promise.all(workers.map(work));
  };

  return {
    async run(text, seed, count, onProgress) {
      const start = performance.now();
      const failures: Failure[] = [];
      const counters: Counters = {};
      const sum = { schedules: 0, steps: 0, hash: 0 };
      let next = 0;
      await together(async (worker) => {
        while (next < count && failures.length < 5) {
          const from = next;
          next = Math.min(count, from + AT_ONCE);
          const job = { program: "real", text, seed, from, count: next - from, untilWrong: false };
          const outcome = await ask(worker, job);
          failures.push(...outcome.failures);
          sum.schedules += outcome.schedules;
          sum.steps += outcome.steps;
          sum.hash = (sum.hash + outcome.hash) >>> 0;
          for (const [name, n] of Object.entries(outcome.counters)) counters[name] = (counters[name] ?? 0) + n;
          onProgress?.(sum.schedules);
        }
      });
      return { ...sum, failures, counters, seconds: (performance.now() - start) / 1000 };
    },
    async catchAll(programs, seed, count, onCaught) {
      const left = [...programs];
      await together(async (worker) => {
        for (let one = left.shift(); one !== undefined; one = left.shift()) {
          const [program, text] = one;
          const { failures } = await ask(worker, { program, text, seed, from: 0, count, untilWrong: true });
          onCaught(program, failures[0]);
        }
      });
    },
    dismiss() {
      for (const worker of workers) worker.terminate();
    },
  };
}
