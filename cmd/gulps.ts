/**
 * How often a reader looks while messages keep coming: it pauses after each gulp that emptied the inbox, twice as long each time up
 * to a millisecond, and its sender has the shard's lock to itself meanwhile. Two processes that meet at the lock for every message
 * cost each of them a change of process; one message on its own waits no longer than the shortest pause.
 */
import { sleepMs } from "../src/os/clock.ts";

const LEAST_MS = 0.1;
const MOST_MS = 1;

export class Gulps {
  private pauseMs = LEAST_MS;

  /** After a gulp. Blocks the process. */
  pause(): void {
    sleepMs(this.pauseMs);
    this.pauseMs = Math.min(2 * this.pauseMs, MOST_MS);
  }

  /** It has waited for the bell: what comes now begins a new flow. */
  rested(): void {
    this.pauseMs = LEAST_MS;
  }
}
