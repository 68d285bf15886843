/** Sends, waits where there is no space, prints what was accepted. */
import type { Bus, Sent } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Draft } from "../src/message/message.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { jitter } from "../src/os/random.ts";
import { unknownAgent } from "./join.ts";
import { print } from "./output.ts";

type Accepted = Extract<Sent, { status: "accepted" | "duplicate" }>;
type Full = Extract<Sent, { status: "full" }>;

export type OnAccepted = (draft: Draft, sent: Accepted) => void;

/** Prints the id of each accepted message, or with `json` an object. */
export function printer(json: boolean): OnAccepted {
  if (!json) return (_, { msgId }) => print(`${msgId}\n`);
  return ({ to }, { msgId, sequence, status }) => print(`${JSON.stringify({ msg_id: msgId, to, sequence, status })}\n`);
}

/**
 * Sends every draft, in order per recipient; `onAccepted` is called as each is accepted. Waits for space until none was
 * found for `timeoutMs`.
 *
 * @throws CfnError try_again, naming whose messages were not accepted; not_found for an agent that has gone; unavailable where
 * the run is ending; malformed for a sequence number that skips some.
 */
export async function deliver(
  bus: Bus,
  drafts: readonly Draft[],
  timeoutMs: number,
  onAccepted: OnAccepted,
): Promise<void> {
  let pending = drafts;
  let deadline = monotonicMs() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, limits.sendRetryMostMs)) {
    const outcomes = pending.length === 1 ? [bus.send(pending[0] as Draft)] : bus.sendBatch(pending);
    const refused: Draft[] = [];
    let full: Full | undefined;
    let failed: CfnError | undefined;
    for (let n = 0; n < outcomes.length; n++) {
      const sent = outcomes[n] as Sent;
      const draft = pending[n] as Draft;
      if (sent.status === "accepted" || sent.status === "duplicate") onAccepted(draft, sent);
      else if (sent.status === "full") {
        full = sent;
        refused.push(draft);
      } else failed ??= failure(bus, draft, sent);
    }
    if (failed !== undefined) throw failed;
    if (full === undefined) return;
    const now = monotonicMs();
    if (refused.length < pending.length) {
      deadline = now + timeoutMs;
      pauseMs = 1;
    }
    if (now >= deadline) throw notAccepted(refused, full);
    await pause(Math.min(pauseMs * (0.5 + jitter()), deadline - now));
    pending = refused;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function failure(bus: Bus, draft: Draft, sent: Extract<Sent, { status: "gone" | "closed" | "gap" }>): CfnError {
  if (sent.status === "gone") return unknownAgent(bus, sent.to);
  if (sent.status === "closed") {
    const what = `not accepted: message to ${draft.to}: the run is ending and its bus takes no more messages`;
    return new CfnError("unavailable", what, "nobody is left who would read it");
  }
  return new CfnError(
    "malformed",
    `sequence ${draft.sequence} from ${draft.from} to ${draft.to} skips some: the next one is ${sent.expected}`,
    "send the missing ones first, or leave the number out",
  );
}

const NAMED_MOST = 10;

function notAccepted(refused: readonly Draft[], full: Full): CfnError {
  const to = [...new Set(refused.map((draft) => draft.to))];
  const named =
    to.slice(0, NAMED_MOST).join(", ") + (to.length > NAMED_MOST ? ` and ${to.length - NAMED_MOST} more` : "");
  const what = full.what === "inbox" ? `inbox full (${full.limit})` : `bus full (${full.limit})`;
  return new CfnError(
    "try_again",
    `not accepted: ${refused.length} message${refused.length === 1 ? "" : "s"} to ${named}: ${what}`,
    full.what === "inbox"
      ? "wait until they are read, or raise --timeout"
      : "read or remove messages, or raise --timeout",
  );
}
