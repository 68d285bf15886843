/** When somebody who died may be started again: after 1 s, then twice as long each time, at most 60 s, and not for ever. Pure. */
import { limits } from "../limits.ts";

export class Backoff {
  private failures = 0;
  private triedAt = 0;
  private dueAt = Number.POSITIVE_INFINITY;

  /** It is started now: milliseconds of a monotonic clock. */
  tried(now: number): void {
    this.triedAt = now;
    this.dueAt = Number.POSITIVE_INFINITY;
  }

  /** It has failed. False if it is given up. One that held out for longer than the longest pause begins anew. */
  failed(now: number): boolean {
    this.failures = now - this.triedAt > limits.restartMostMs ? 1 : this.failures + 1;
    if (this.failures > limits.restartsMost) return false;
    this.dueAt = now + Math.min(limits.restartFirstMs * 2 ** (this.failures - 1), limits.restartMostMs);
    return true;
  }

  isDue(now: number): boolean {
    return now >= this.dueAt;
  }

  /** For people. */
  get verdict(): string {
    return `it has failed ${this.failures} times in a row`;
  }
}
