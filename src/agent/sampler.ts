/**
 * Looks at the processes of a host's agents and writes what it saw into the roster, once in `intervalMs` each, a few at a
 * time so that the loop is never kept: with more than `samplesPerTick` agents for each tick of the interval, less often. A look is
 * one reading of /proc/<pid>/stat and two of file sizes, some 25 µs. The first round begins an interval after the host: agents
 * that live shorter cost nothing.
 *
 * CPU time is that of the agent's process and of children it has waited for. What else runs below it is added up only where
 * the process itself has done nothing for half of `stalledAfterMs`: an agent that waits for a child at work is at work.
 */
import type { Roster } from "../bus/roster.ts";
import { limits } from "../limits.ts";
import { activityOf, isStopped, runMark, treeCpuTicks } from "../os/activity.ts";
import { fileBytes, type OutputFiles } from "./flood.ts";
import { excused, sampleAfter } from "./sampling.ts";

/** An agent with a task. */
export interface Sampled {
  /** Its seat in the roster. */
  readonly number: number;
  readonly execution: { readonly pid: number; readonly runs: boolean };
  /** Undefined where its output is not ours. */
  readonly files: OutputFiles | undefined;
}

export interface HealthTimes {
  readonly intervalMs: number;
  /** Without CPU time and output for so long an agent counts as stalled. */
  readonly stalledAfterMs: number;
}

export class Sampler {
  readonly #roster: Roster;
  readonly #times: HealthTimes;
  #round: readonly Sampled[] = [];
  #at = 0;
  #roundAt: number;
  #tickedAt: number;
  /** What all below it have used, of those that seem to do nothing. */
  readonly #trees = new Map<number, { readonly pid: number; readonly cpuTicks: number }>();

  constructor(roster: Roster, times: HealthTimes, now: number) {
    this.#roster = roster;
    this.#times = times;
    this.#roundAt = now;
    this.#tickedAt = now;
  }

  /** Each `limits.pollMs` or less often; `now` is ms of the machine's clock, `running` gives the agents that run. */
  tick(now: number, running: () => readonly Sampled[]): void {
    this.#roster.beat(now);
    const lostMs = now - this.#tickedAt - this.#times.intervalMs;
    this.#tickedAt = now;
    if (lostMs > 0) this.#excuse(running(), lostMs);
    if (this.#at >= this.#round.length) {
      if (now - this.#roundAt < this.#times.intervalMs) return;
      this.#roundAt = now;
      this.#round = running();
      this.#at = 0;
    }
    const end = Math.min(this.#round.length, this.#at + limits.samplesPerTick);
    while (this.#at < end) this.#look(this.#round[this.#at++] as Sampled, now);
  }

  #look({ number, execution, files }: Sampled, now: number): void {
    const { pid } = execution;
    const activity = execution.runs ? activityOf(pid) : undefined;
    if (activity === undefined) return;
    const { state, cpuTicks } = activity;
    const stopped = isStopped(state);
    const outputBytes = files === undefined ? 0 : (fileBytes(files.out) + fileBytes(files.err)) >>> 0;
    const before = this.#roster.sampleOf(number);
    const mark = stopped ? runMark(pid) : 0;
    const sample = sampleAfter(before, { state, stopped, cpuTicks, outputBytes, mark }, now);
    const works = !stopped && now - sample.progressAt >= this.#times.stalledAfterMs / 2 && this.#treeWorks(number, pid);
    this.#roster.sampled(number, works ? { ...sample, progressAt: now } : sample);
  }

  #treeWorks(number: number, pid: number): boolean {
    const before = this.#trees.get(number);
    const cpuTicks = treeCpuTicks(pid);
    this.#trees.set(number, { pid, cpuTicks });
    return before?.pid === pid && cpuTicks > before.cpuTicks;
  }

  /** This process was stopped, or starved: perhaps the agents were too. */
  #excuse(running: readonly Sampled[], lostMs: number): void {
    for (const { number } of running) {
      const sample = this.#roster.sampleOf(number);
      if (sample !== undefined) this.#roster.sampled(number, excused(sample, lostMs));
    }
  }
}
