/** One line of a batch: a message as NDJSON. Pure. Loads valibot, so only `send --batch` imports it. */
import * as v from "valibot";
import { limits } from "../limits.ts";
import { senderOf } from "./ids.ts";
import { type Draft, isAgentId, isMessageType, type Json } from "./message.ts";
import { type Checked, checkPayload, parseJson } from "./payload.ts";

const agentId = v.pipe(v.string("expected a string"), v.check(isAgentId, "expected an agent id"));

const lineSchema = v.strictObject({
  to: agentId,
  payload: v.unknown(),
  type: v.optional(v.pipe(v.string("expected a string"), v.check(isMessageType, "expected a message type"))),
  from: v.optional(agentId),
  reply_to: v.optional(
    v.pipe(
      v.string("expected a string"),
      v.check((text) => senderOf(text) !== undefined, "expected a message id"),
    ),
  ),
  sequence: v.optional(
    v.pipe(
      v.number("expected a number"),
      v.integer("expected a whole number"),
      v.minValue(1, "expected a number from 1"),
      v.maxValue(limits.sequenceMost, `expected a number up to ${limits.sequenceMost}`),
    ),
  ),
});

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function describe(issue: v.InferIssue<typeof lineSchema>): string {
  const key = v.getDotPath(issue) ?? "";
  if (issue.type === "strict_object" && key === "") return "it is not an object";
  if (issue.type === "strict_object")
    return issue.expected === "never" ? `unknown key "${key}"` : `"${key}" is missing`;
  return `"${key}": ${issue.message}`;
}

/** Reads a line; `from` and `type` stand in where it has none. Undefined for a blank line. */
export function parseBatchLine(line: Uint8Array, from: string, type: string): Checked<Draft> | undefined {
  if (line.length > limits.batchLineBytes) return { problem: `it has more than ${limits.batchLineBytes} bytes` };
  let text: string;
  try {
    text = decoder.decode(line);
  } catch {
    return { problem: "it is not UTF-8" };
  }
  if (text.trim() === "") return undefined;
  // The payload is one level below the line's object.
  const parsed = parseJson(text, limits.batchLineBytes, limits.payloadDepth + 1);
  if ("problem" in parsed) return parsed;
  if (Array.isArray(parsed.value)) return { problem: "it is not an object" };
  const result = v.safeParse(lineSchema, parsed.value, { abortEarly: true });
  if (!result.success) return { problem: describe(result.issues[0]) };
  const fields = result.output;
  const payload = checkPayload(fields.payload as Json);
  if ("problem" in payload) return payload;
  return {
    value: {
      from: fields.from ?? from,
      to: fields.to,
      type: fields.type ?? type,
      payload: payload.value,
      ...(fields.reply_to === undefined ? {} : { replyTo: fields.reply_to }),
      ...(fields.sequence === undefined ? {} : { sequence: fields.sequence }),
    },
  };
}
