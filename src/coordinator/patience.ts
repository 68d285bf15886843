/**
 * How long a run that is to end waits for whoever reads its output. A reader that takes nothing would keep it for ever; one that is
 * only slow gets all of it, unless the run is to end at once.
 */
import { limits } from "../limits.ts";
import { monotonicMs } from "../os/clock.ts";

export class ReaderPatience {
  /** Resolves when there is nothing more to wait for. */
  readonly over: Promise<void>;
  private end: () => void = () => undefined;
  private until = Number.POSITIVE_INFINITY;
  private strict = false;
  private seen = 0;
  private timer: Timer | undefined;

  /** `written`: how many bytes the readers have taken. */
  constructor(private readonly written: () => number) {
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** The run is to end within the grace; 0 for at once. The shortest counts. */
  limit(graceMs: number): void {
    this.until = Math.min(this.until, monotonicMs() + graceMs + limits.outputEndMs);
    this.strict ||= graceMs === 0;
    this.seen = this.written();
    this.timer ??= setInterval(() => this.look(), limits.outputLookMs);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const now = monotonicMs();
    const written = this.written();
    if (!this.strict && written > this.seen) this.until = Math.max(this.until, now + limits.outputEndMs);
    this.seen = written;
    if (now >= this.until) this.end();
  }
}
