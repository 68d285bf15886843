/**
 * When a sender that waits for room looks again, and how much room is worth a try.
 *
 * That a process wakes and tries costs it as much as a dozen messages, and where many wait for one slow reader each place that
 * this frees would wake them all. So nobody tries for a place or two: a sender waits until there is room for what the reader
 * takes in `limits.turnMs`, and who looks then has it all. How fast that is, it sees from the inbox: loads from memory, no
 * lock. As its patience runs out it is content with less, in the end with any room. No look is further off than
 * `limits.sendRetryMostMs`, nor, while others do not keep the inbox full, than the reader needs for a quarter of it: a reader
 * does not wait for its senders.
 */
import type { Bus, Room } from "../src/bus/contract.ts";
import { limits } from "../src/limits.ts";
import type { Draft } from "../src/message/message.ts";
import { jitter } from "../src/os/random.ts";

const PAUSE_LEAST_MS = 1;
/** A reader's speed is that of so long. */
const SPEED_OF_MS = 500;

/** An inbox as it is seen to be emptied. */
interface Flow {
  readonly since: number;
  at: number;
  taken: number;
  perMs: number;
  /** Others took the room that there was since the last look. */
  isContested: boolean;
}

export class Turns {
  private readonly flows = new Map<string, Flow>();
  private pauseMs = PAUSE_LEAST_MS;

  constructor(private readonly bus: Pick<Bus, "room">) {}

  /** Something was accepted. A quarter only: where many wait, who had its turn is not to be back at once. */
  progress(): void {
    this.pauseMs = Math.max(PAUSE_LEAST_MS, this.pauseMs / 4);
  }

  /** How long to pause until the next look at the inboxes of `first`: the first of each recipient's messages. */
  pause(first: readonly Draft[], now: number): number {
    let mostMs: number = limits.sendRetryMostMs;
    for (const draft of first) {
      const room = this.bus.room(draft.to, draft.chain ?? "data");
      if (room === undefined) return 0;
      const { perMs, isContested } = this.look(draft, room, now);
      if (!isContested) mostMs = Math.min(mostMs, room.limit / 4 / perMs);
    }
    const pauseMs = Math.max(PAUSE_LEAST_MS, Math.min(this.pauseMs, mostMs));
    this.pauseMs = pauseMs * 2;
    return pauseMs * (0.5 + jitter());
  }

  /** Whether a try is worth it for one who has this share of its patience left. At the end of it one always is: the last. */
  isWorthATry(first: readonly Draft[], now: number, patience: number): boolean {
    return first.some((draft) => {
      const room = this.bus.room(draft.to, draft.chain ?? "data");
      return room === undefined || room.free >= patience * enough(room, this.look(draft, room, now));
    });
  }

  private look({ to }: Draft, room: Room, now: number): Flow {
    const { taken } = room;
    let flow = this.flows.get(to);
    if (flow === undefined) {
      flow = { since: now, at: now, taken, perMs: 0, isContested: false };
      this.flows.set(to, flow);
    }
    const ms = now - flow.at;
    if (ms < PAUSE_LEAST_MS) return flow;
    const more = (taken - flow.taken) >>> 0;
    const weight = ms / Math.max(ms, Math.min(now - flow.since, SPEED_OF_MS));
    flow.perMs += (more / ms - flow.perMs) * weight;
    flow.isContested = more > room.free && more >= enough(room, flow);
    flow.at = now;
    flow.taken = taken;
    return flow;
  }
}

const enough = ({ limit }: Room, { perMs }: Flow): number => Math.max(1, Math.min(perMs * limits.turnMs, limit / 4));
