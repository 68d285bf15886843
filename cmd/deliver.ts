/** Sends, waits where there is no space or no leave to send more, prints what was accepted. */
import type { Bus, Full, Sent } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import type { Draft } from "../src/message/message.ts";
import { Backlog } from "./backlog.ts";
import { unknownAgent } from "./join.ts";
import { printLines } from "./output.ts";
import { Patience } from "./patience.ts";
import { Turns } from "./turns.ts";

type Accepted = Extract<Sent, { status: "accepted" | "duplicate" }>;

export type OnAccepted = (all: readonly (readonly [Draft, Accepted])[]) => void;

/** Prints the id of each accepted message, or with `json` an object. */
export function printer(json: boolean): OnAccepted {
  return (all) =>
    printLines(
      all.map(([{ to }, { msgId, sequence, status }]) =>
        json ? `${JSON.stringify({ msg_id: msgId, to, sequence, status })}\n` : `${msgId}\n`,
      ),
    );
}

/**
 * Sends every draft, in order per recipient; `onAccepted` is called with those that one try brought in. Waits for space until none was
 * found for `timeout` milliseconds, which nobody asks for before there is none, or until it is clear that there will be none:
 * in a ring of senders that wait for each other.
 *
 * @throws CfnError try_again, naming whose messages were not accepted; not_found for an agent that has gone; unavailable where
 * the run is ending; malformed for a sequence number that skips some.
 */
export async function deliver(
  bus: Bus,
  drafts: readonly Draft[],
  timeout: number | (() => number),
  onAccepted: OnAccepted,
  turns = new Turns(bus),
): Promise<void> {
  const send = (tried: readonly Draft[]): Outcome => {
    const outcomes = tried.length === 1 ? [bus.send(tried[0] as Draft)] : bus.sendBatch(tried);
    const outcome = sorted(bus, tried, outcomes, onAccepted);
    if (outcome.failed !== undefined) throw outcome.failed;
    return outcome;
  };
  const first = send(drafts);
  if (first.full === undefined) return;
  const backlog = new Backlog(first.refused);
  const wait = new Patience(bus, backlog, turns, typeof timeout === "number" ? timeout : timeout());
  try {
    await wait.forSpace(first.full);
    for (let tried = backlog.next(); tried.length > 0; tried = backlog.next()) {
      const { refused, full } = send(tried);
      backlog.tried(tried, refused);
      if (refused.length < tried.length) wait.progress();
      if (full !== undefined) await wait.forSpace(full);
    }
  } finally {
    wait.end();
  }
}

interface Outcome {
  readonly refused: Draft[];
  /** The last refusal for want of space. */
  readonly full: Full | undefined;
  readonly failed: CfnError | undefined;
}

function sorted(bus: Bus, drafts: readonly Draft[], outcomes: readonly Sent[], onAccepted: OnAccepted): Outcome {
  const refused: Draft[] = [];
  let full: Full | undefined;
  let failed: CfnError | undefined;
  const accepted: [Draft, Accepted][] = [];
  for (let n = 0; n < outcomes.length; n++) {
    const sent = outcomes[n] as Sent;
    const draft = drafts[n] as Draft;
    if (sent.status === "accepted" || sent.status === "duplicate") accepted.push([draft, sent]);
    else if (sent.status === "full") {
      full = sent;
      refused.push(draft);
    } else failed ??= failure(bus, draft, sent);
  }
  if (accepted.length > 0) onAccepted(accepted);
  return { refused, full, failed };
}

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
