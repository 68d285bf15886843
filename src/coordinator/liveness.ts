/**
 * Whether a coordinator hangs. Its death is told by the kernel; this is about one that is there and does nothing. Two signs are
 * needed, and the process itself is asked: it is stopped (state T) for `limits.coordinatorStoppedMs` on end; or its heartbeat,
 * the sign of a turning event loop, is older than `limits.coordinatorHungMs` and nobody has stopped this process meanwhile.
 */
import { limits } from "../limits.ts";
import { monotonicMs } from "../os/clock.ts";
import { readText } from "../os/file.ts";
import { processState } from "../os/process.ts";

export class Liveness {
  private readonly heartbeat: string;
  private pid = 0;
  private stoppedAt: number | undefined;
  private begunAt = 0;
  private lookedAt = 0;
  /** While the beat does not change: its text, and when that was first seen. */
  private beat: { readonly text: string; readonly at: number } | undefined;

  constructor(busDir: string, id: string) {
    this.heartbeat = `${busDir}/heartbeats/${id}`;
  }

  /** Another process is meant from now on. */
  begin(pid: number): void {
    this.pid = pid;
    this.stoppedAt = undefined;
    this.beat = undefined;
    this.begunAt = monotonicMs();
    this.lookedAt = this.begunAt;
  }

  /** Why it is to be ended; undefined while all is well or it cannot be said. `now`: ms of the monotonic clock. */
  verdict(now: number): string | undefined {
    const slept = now - this.lookedAt > 4 * limits.coordinatorLookMs;
    this.lookedAt = now;
    if (slept) {
      // We were stopped or starved ourselves: what looks old may only be unread.
      this.stoppedAt = undefined;
      this.beat = undefined;
      return undefined;
    }
    const state = processState(this.pid)?.state;
    if (state !== "T" && state !== "t") this.stoppedAt = undefined;
    else {
      this.stoppedAt ??= now;
      if (now - this.stoppedAt >= limits.coordinatorStoppedMs)
        return `it was stopped for ${seconds(now - this.stoppedAt)}`;
    }
    const text = readText(this.heartbeat, 256) ?? "";
    if (this.beat?.text !== text) this.beat = { text, at: now };
    const age = now - this.beat.at;
    return age >= limits.coordinatorHungMs ? `its heartbeat stood still for ${seconds(age)}` : undefined;
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
