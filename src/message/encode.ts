/** Messages to text and back. The sequence and attempt numbers are not in the text: the bus keeps them in the record. */
import type { Draft, Json, Message } from "./message.ts";

/** The text of a message on the bus, as JSON. */
export function encodeMessage(draft: Draft, msgId: string, timestamp: number): string {
  return JSON.stringify({
    msg_id: msgId,
    from: draft.from,
    to: draft.to,
    type: draft.type,
    timestamp,
    payload: draft.payload,
    reply_to: draft.replyTo,
    run_id: draft.runId,
    requires_ack: draft.requiresAck,
  });
}

/** The message that `text` holds. `attempt` is shown from the second on. */
export function decodeMessage(text: string, sequence: number, attempt: number): Message {
  const { msg_id, from, to, type, timestamp, payload, ...rest } = JSON.parse(text) as Omit<Message, "sequence">;
  const message = { msg_id, from, to, type, sequence, timestamp, payload: payload as Json, ...rest };
  return attempt > 1 ? { ...message, attempt } : message;
}
