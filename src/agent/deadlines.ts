/**
 * One timer for any number of agents. Setting and clearing is a map operation; only when the timer fires are all looked at,
 * which is rare: a timeout is the exception.
 */
import { monotonicMs } from "../os/clock.ts";

export interface Due {
  /** Its deadline has passed; it is no longer set. */
  due(): void;
}

/** setTimeout takes at most 2^31 ms; waking once an hour costs nothing. */
const TIMER_MS_MAX = 3_600_000;

export class Deadlines {
  readonly #at = new Map<Due, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** Calls `who.due()` once, `inMs` from now, instead of any deadline it had. */
  set(who: Due, inMs: number): void {
    const at = monotonicMs() + inMs;
    this.#at.set(who, at);
    if (at < this.#timerAt) this.#arm(at);
  }

  clear(who: Due): void {
    this.#at.delete(who);
    if (this.#at.size === 0) this.close();
  }

  close(): void {
    this.#at.clear();
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const inMs = Math.min(Math.max(at - monotonicMs(), 0), TIMER_MS_MAX);
    this.#timer = setTimeout(() => this.#fire(), Math.ceil(inMs));
  }

  #fire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = monotonicMs();
    const due: Due[] = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (const [who, at] of this.#at) {
      if (at <= now) due.push(who);
      else if (at < earliest) earliest = at;
    }
    for (const who of due) this.#at.delete(who);
    if (earliest < this.#timerAt) this.#arm(earliest);
    for (const who of due) who.due();
  }
}
