/** Who ends a run early, and how fast: a signal or `cfn stop` with the grace, a second signal at once. */
import { limits } from "../src/limits.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { catchSignals, SIGTERM } from "../src/os/signals.ts";

export class EarlyEnd {
  /** The first signal that came, or that a request stands for; 0 if none. */
  signal = 0;
  private readonly cameAt = new Map<number, number>();
  private end: ((graceMs: number) => void) | undefined;
  /** What came before there was anything to end. */
  private early: number | undefined;

  /** From now on signals do not kill this process, they end the run. */
  constructor(private readonly graceMs: number) {
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      const now = monotonicMs();
      // `timeout` sends it to us and to our group.
      const isEcho = now - (this.cameAt.get(signal) ?? Number.NEGATIVE_INFINITY) < limits.signalTwiceMs;
      this.cameAt.set(signal, now);
      if (!isEcho) this.begin(signal, this.signal === 0 ? this.graceMs : 0);
    });
  }

  /** The run has begun, and `end` ends it. */
  ends(end: (graceMs: number) => void): void {
    this.end = end;
    if (this.early !== undefined) end(this.early);
  }

  /** `cfn stop` is as SIGTERM; another one changes nothing, unless it has less patience. */
  asked(graceMs = this.graceMs): void {
    this.begin(SIGTERM, graceMs);
  }

  private begin(signal: number, graceMs: number): void {
    this.signal ||= signal;
    this.early = graceMs;
    this.end?.(graceMs);
  }
}
