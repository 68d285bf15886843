/** The message as every reader sees it. Field names are the wire's (and the command line's), hence snake_case. Pure. */

import { limits } from "../limits.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Message {
  readonly msg_id: string;
  readonly from: string;
  readonly to: string;
  readonly type: string;
  /** Counts per sender and recipient, from 1. */
  readonly sequence: number;
  /** Unix seconds with decimals: when the sender made it. */
  readonly timestamp: number;
  readonly payload: Json;
  readonly reply_to?: string;
  readonly run_id?: string;
  /** Present and above 1 where the message was handed over before and not acknowledged. */
  readonly attempt?: number;
  readonly requires_ack?: boolean;
}

/** What a sender gives; the bus adds the sequence number. */
export interface Draft {
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly payload: Json;
  /** Default: a fresh id. One of `messageIds` (`ids.ts`), asserted. */
  readonly msgId?: string;
  /** Default: now. Unix seconds. */
  readonly timestamp?: number;
  readonly replyTo?: string;
  readonly runId?: string;
  readonly requiresAck?: boolean;
  /** A retry after an unknown outcome gives the sequence number it meant to use and is deduplicated by it. */
  readonly sequence?: number;
  /** `control` is read by the process that hosts the agent, `data` by whoever acts as the agent. Default `data`. */
  readonly chain?: Chain;
}

export type Chain = "data" | "control";

/** Whether all of the text is of `a-z0-9` and, after the first character, of `more`. */
function isWord(text: string, more: string): boolean {
  // By hand, because a process's first regular expression costs 0.1 ms, and `cfn send` is a process per message.
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const plain = (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
    if (!plain && (at === 0 || !more.includes(text[at] as string))) return false;
  }
  return text.length > 0;
}

/** Lower-case letters, digits, `_` and `-`, at most 63, beginning with a letter or digit: safe as a path element. */
export function isAgentId(text: string): boolean {
  return text.length <= limits.agentIdChars && isWord(text, "_-");
}

/** A word that says what a message is: letters, digits and `_.:/-`, at most `limits.typeChars`. */
export function isMessageType(text: string): boolean {
  return text.length <= limits.typeChars && isWord(text.toLowerCase(), "_.:/-");
}
