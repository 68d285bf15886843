/**
 * How long tasks and their results are on their way, and how long the first agents took to start: counted attempt by attempt,
 * in memory that grows with what is under way. Pure.
 */
import { LatencyCounts } from "../message/latency.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import type { Waits } from "./observer.ts";
import type { RunReport } from "./report.ts";

export class Timing {
  /** When the attempt under way was published, Unix milliseconds; by the task's seq. */
  private readonly publishedAt = new Map<number, number>();
  private readonly task = new LatencyCounts();
  private readonly result = new LatencyCounts();
  private firstSpawn = Number.POSITIVE_INFINITY;
  private lastSpawn = 0;

  /** `firstAttempt`: what the first attempt at a task is numbered. */
  constructor(
    private readonly firstAttempt: number,
    private readonly workers: number,
  ) {}

  /** These go out at `unixMs`. */
  published(tasks: readonly TaskPayload[], unixMs: number): void {
    for (const { seq } of tasks) this.publishedAt.set(seq, unixMs);
  }

  /** An attempt has its result, counted at `unixMs`. Undefined where it never began, or has been counted before. */
  ended({ seq, attempt, started_at, run_time_ms }: ResultPayload, unixMs: number): Waits | undefined {
    const published = this.publishedAt.get(seq);
    this.publishedAt.delete(seq);
    if (published === undefined || started_at === 0) return undefined;
    const startedMs = started_at * 1000;
    const waits = { task: startedMs - published, result: unixMs - (startedMs + run_time_ms) };
    this.task.add(waits.task);
    this.result.add(waits.result);
    if (attempt > this.firstAttempt || seq > this.workers) return waits;
    this.firstSpawn = Math.min(this.firstSpawn, startedMs);
    this.lastSpawn = Math.max(this.lastSpawn, startedMs);
    return waits;
  }

  /** Between the starts of the first and the last agent, of as many first tasks as there are workers; 0 where none began. */
  get spawnMs(): number {
    return Math.max(this.lastSpawn - this.firstSpawn, 0);
  }

  get latency(): RunReport["latency_ms"] {
    return { task: this.task.quantiles(), result: this.result.quantiles() };
  }
}
