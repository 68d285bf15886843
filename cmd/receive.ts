/** The loop of `recv`: look, hand over what is there, else wait for the bell. Blocks the process. */
import type { Bell, Bus } from "../src/bus/contract.ts";
import { limits } from "../src/limits.ts";
import type { Message } from "../src/message/message.ts";
import { monotonicMs, sleepMs } from "../src/os/clock.ts";
import { isReaderGone } from "../src/os/pipe.ts";
import { Gulps } from "./gulps.ts";
import { checkBusIsThere } from "./join.ts";
import { OutputClosed } from "./output.ts";

/** `done`: what was wanted; `nothing`: no message in time; `busy`: somebody else held the inbox all the time. */
type Ended = "done" | "nothing" | "busy";

interface Wish {
  /** On the monotonic clock, milliseconds. */
  readonly until: number;
  /** Wait for a message; without it only for the inbox to be free. */
  readonly waits: boolean;
  readonly follows: boolean;
  readonly peeks: boolean;
  readonly most: number;
  /** The message counts as taken when this returns; it stays if this throws. */
  readonly handOver: (message: Message) => void;
}

export function receive(bus: Bus, id: string, wish: Wish): Ended {
  let left = wish.most;
  let bell: Bell | undefined;
  let armed = false;
  const gulps = new Gulps();
  try {
    for (;;) {
      const shown = wish.peeks ? show(bus, id, left, wish.handOver) : take(bus, id, left, wish.handOver);
      const isBusy = shown === "busy";
      if (!isBusy) left -= shown;
      if (left === 0 || (!isBusy && !wish.follows && (shown > 0 || !wish.waits))) return "done";
      if (!isBusy && shown > 0) {
        gulps.pause();
        continue;
      }
      const leftMs = wish.until - monotonicMs();
      if (leftMs <= 0) return isBusy && !wish.waits ? "busy" : "nothing";
      checkWorth(bus);
      if (isBusy) sleepMs(Math.min(leftMs, limits.inboxRetryMs));
      else if (bell === undefined || !armed) {
        // Armed first, then one more look: a message that came in between is not missed.
        bell ??= bus.bell();
        bell.arm(id, "data");
        armed = true;
      } else {
        bell.waitSync(Math.min(leftMs, limits.pollMs));
        gulps.rested();
        armed = false;
      }
    }
  } finally {
    bell?.close();
  }
}

/** Takes what is there now, one by one: a message is acknowledged when it has been handed over, before the next is read. */
function take(bus: Bus, id: string, most: number, handOver: (message: Message) => void): number | "busy" {
  const lease = bus.lease(id, "data");
  if (lease === undefined) return "busy";
  try {
    const there = Math.min(most, lease.depth());
    let taken = 0;
    let [delivery] = there === 0 ? [] : lease.read(1);
    while (delivery !== undefined) {
      handOver(delivery.message);
      taken++;
      if (taken < there) [delivery] = lease.ackAndRead(1, 1);
      else {
        lease.ack(1);
        break;
      }
    }
    return taken;
  } finally {
    lease.release();
  }
}

function show(bus: Bus, id: string, most: number, handOver: (message: Message) => void): number {
  const messages = bus.peek(id, "data", Math.min(most, bus.depth(id, "data")));
  for (const message of messages) handOver(message);
  return messages.length;
}

/** Ends a wait in which nothing can come, or that nobody follows any more. */
function checkWorth(bus: Bus): void {
  if (isReaderGone(1)) throw new OutputClosed("stdout is closed");
  checkBusIsThere(bus);
}
