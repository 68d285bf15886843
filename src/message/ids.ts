/**
 * Message ids: `<sender>.<60 random bits of the process><counter>`. Agent ids hold no dot, so the sender can be read off an
 * id and a reply needs no look-up; and no two processes or calls ever make the same one.
 */
import { isAgentId } from "./message.ts";

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** A source of ids; `nonce` must be unique to the process. */
export function messageIds(nonce: string): (from: string) => string {
  let count = 0;
  let sender = "";
  let stem = "";
  return (from) => {
    const digit = count % DIGITS.length;
    if (digit === 0 || from !== sender) {
      sender = from;
      stem = `${from}.${nonce}${Math.floor(count / DIGITS.length).toString(36)}`;
    }
    count++;
    return stem + DIGITS[digit];
  };
}

/** The sender that a message id names; undefined if it is no message id. */
export function senderOf(msgId: string): string | undefined {
  const dot = msgId.indexOf(".");
  const from = msgId.slice(0, Math.max(dot, 0));
  return isAgentId(from) && /^[0-9a-z]{13,40}$/.test(msgId.slice(dot + 1)) ? from : undefined;
}
