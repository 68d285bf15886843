/** Waiting for room: how long, and when to give up. */
import type { Bus, Sent } from "../src/bus/contract.ts";
import type { WaitingSender } from "../src/bus/waits.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Draft } from "../src/message/message.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { jitter } from "../src/os/random.ts";
import type { Backlog } from "./backlog.ts";

export type Full = Extract<Sent, { status: "full" }>;

const PAUSE_LEAST_MS = 1;

export class Patience {
  private pauseMs = PAUSE_LEAST_MS;
  private deadline: number;
  /** When it is next to be looked whether those that wait for each other are a ring. */
  private ringLookAt: number;
  private sender: WaitingSender | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly backlog: Backlog,
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
    // Half of the last one, which has been doubled since: where many wait, who got something in is not to be back at once.
    this.pauseMs = Math.max(PAUSE_LEAST_MS, this.pauseMs / 4);
    this.ringLookAt = now + limits.ringAfterMs;
    this.end();
  }

  /** Resolves when it is worth another try. Throws try_again where there was no room for too long, or will be none. */
  async forSpace(full: Full): Promise<void> {
    const now = monotonicMs();
    if (now >= this.deadline) throw notAccepted(this.backlog, full);
    if (full.what === "inbox" && now >= this.ringLookAt) await this.lookForRing();
    const pauseMs = full.retryMs ?? this.pauseMs * (0.5 + jitter());
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, this.deadline - now)));
    this.pauseMs = Math.min(this.pauseMs * 2, limits.sendRetryMostMs);
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
