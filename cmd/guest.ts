/**
 * The inbox of one question. An answer sent to the asking agent's own inbox would stand among its other messages, to be
 * taken out of order or lost; so whoever asks registers as a guest, `ask-<n>`, and leaves afterwards.
 */
import type { Bell, Bus } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Message } from "../src/message/message.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { jitter } from "../src/os/random.ts";
import { checkBusIsThere } from "./join.ts";

interface Guest {
  readonly id: string;
  /** The message that answers `msgId`; undefined if none came until then (monotonic clock, milliseconds). Throws unavailable where the bus is gone. */
  awaitAnswer(msgId: string, until: number): Promise<Message | undefined>;
  /** Gives the id back; drops what came too late, unless it `keeps` that. May be called more than once. */
  leave(keeps?: boolean): void;
}

/** Ids are used again, so that their sequence numbers take no more room on the bus. Throws try_again if all are taken. */
export function enrolGuest(bus: Bus): Guest {
  const start = Math.floor(jitter() * limits.guestsSpread);
  for (let n = 0; n < limits.guestsMost; n++) {
    const id = `ask-${((start + n) % limits.guestsMost) + 1}`;
    const registered = bus.register({ id, role: "guest" });
    if (registered.status === "registered") return guestOf(bus, id);
    if (registered.status === "full")
      throw new CfnError("try_again", `the bus takes no more agents: ${registered.limit}`, "try again later");
  }
  throw new CfnError("try_again", `${limits.guestsMost} questions wait for answers already`, "try again later");
}

function guestOf(bus: Bus, id: string): Guest {
  let bell: Bell | undefined;
  let hasLeft = false;
  return {
    id,
    async awaitAnswer(msgId, until) {
      bell = bus.bell();
      for (;;) {
        bell.arm(id, "data");
        const answer = find(bus, id, msgId);
        const leftMs = until - monotonicMs();
        if (answer !== undefined || leftMs <= 0) return answer;
        checkBusIsThere(bus);
        bell.waitSync(Math.min(leftMs, limits.pollMs));
        // Signals are delivered in the event loop.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    },
    leave(keeps = false) {
      if (hasLeft) return;
      hasLeft = true;
      bell?.close();
      const lease = keeps ? undefined : bus.lease(id, "data");
      lease?.ack(lease.depth());
      lease?.release();
      bus.unregister(id);
    },
  };
}

/** Whatever else is there was meant for an earlier guest of this name, and nobody waits for it. */
function find(bus: Bus, id: string, msgId: string): Message | undefined {
  const lease = bus.lease(id, "data");
  if (lease === undefined) return undefined;
  try {
    for (;;) {
      const [delivery] = lease.read(1);
      if (delivery === undefined) return undefined;
      lease.ack(1);
      if (delivery.message.reply_to === msgId) return delivery.message;
    }
  } finally {
    lease.release();
  }
}
