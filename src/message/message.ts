/** The message as every reader sees it. Field names are the wire's (and the command line's), hence snake_case. Pure. */

import { limits } from "../limits.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Lower-case letters, digits, `_` and `-`, at most 63, beginning with a letter or digit: safe as a path element. */
const AGENT_ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;

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

export function isAgentId(text: string): boolean {
  return AGENT_ID.test(text);
}

const MESSAGE_TYPE = new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,${limits.typeChars - 1}}$`);

/** A word that says what a message is: letters, digits and `_.:/-`, at most `limits.typeChars`. */
export function isMessageType(text: string): boolean {
  return MESSAGE_TYPE.test(text);
}
