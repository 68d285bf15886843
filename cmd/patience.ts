/** Waiting for room: how long, and when to give up. */
import type { Bus, Full } from "../src/bus/contract.ts";
import type { WaitingSender } from "../src/bus/waits.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Draft } from "../src/message/message.ts";
import { monotonicMs, sleepMs } from "../src/os/clock.ts";
import type { Backlog } from "./backlog.ts";
import { checkBusIsThere } from "./join.ts";
import type { Turns } from "./turns.ts";

export class Patience {
  private deadline: number;
  /** When it is next to be looked whether those that wait for each other are a ring. */
  private ringLookAt: number;
  private sender: WaitingSender | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly backlog: Backlog,
    private readonly turns: Turns,
    private readonly timeoutMs: number,
  ) {
    const now = monotonicMs();
    this.deadline = now + timeoutMs;
    this.ringLookAt = now + limits.ringAfterMs;
  }

  /** Something was accepted: the wait begins anew. */
  progress(): void {
    const now = monotonicMs();
    this.deadline = now + this.timeoutMs;
    this.turns.progress();
    this.ringLookAt = now + limits.ringAfterMs;
    this.end();
  }

  /** Resolves when it is worth another try. Throws try_again where there was no room for too long, or will be none; unavailable where the bus is gone. */
  async forSpace(full: Full): Promise<void> {
    let now = monotonicMs();
    if (now >= this.deadline) throw notAccepted(this.backlog, full);
    const { first } = this.backlog;
    do {
      if (full.what === "inbox" && now >= this.ringLookAt) await this.lookForRing();
      const pauseMs = full.retryMs ?? this.turns.pause(first, now);
      // Not in the event loop: what that does while it is idle would be three quarters of what a wait costs.
      sleepMs(Math.min(pauseMs, this.deadline - now));
      // Signals are delivered in it.
      if (process.listenerCount("SIGTERM") > 0) await new Promise((resolve) => setTimeout(resolve, 0));
      checkBusIsThere(this.bus);
      now = monotonicMs();
    } while (full.what === "inbox" && !this.turns.isWorthATry(first, now, (this.deadline - now) / this.timeoutMs));
  }

  /** It waits no longer. */
  end(): void {
    this.sender?.end();
  }

  private async lookForRing(): Promise<void> {
    this.ringLookAt = monotonicMs() + limits.ringLookMs;
    if (this.sender === undefined) {
      const { WaitingSender } = await import("../src/bus/waits.ts");
      this.sender = new WaitingSender(this.bus, (this.backlog.next()[0] as Draft).from);
    }
    const ring = this.sender.look(this.backlog.recipients);
    if (ring === undefined) return;
    throw new CfnError(
      "try_again",
      `not accepted: ${counted(this.backlog.rest)}: ${[...ring, ring[0]].join(" → ")}: each waits for the next to read`,
      "read first (cfn recv), then send again",
    );
  }
}

const counted = ({ length }: readonly Draft[]): string => `${length} message${length === 1 ? "" : "s"}`;

const NAMED_MOST = 10;

const wants: Record<Full["what"], readonly [what: string, remedy: string]> = {
  inbox: ["inbox full", "wait until they are read, or raise --timeout"],
  bus: ["bus full", "read or remove messages, or raise --timeout"],
  rate: ["too fast", "send less often, or raise --timeout"],
};

function notAccepted({ recipients: to, rest }: Backlog, full: Full): CfnError {
  const named =
    to.slice(0, NAMED_MOST).join(", ") + (to.length > NAMED_MOST ? ` and ${to.length - NAMED_MOST} more` : "");
  const [what, remedy] = wants[full.what];
  return new CfnError("try_again", `not accepted: ${counted(rest)} to ${named}: ${what} (${full.limit})`, remedy);
}
