/** Payloads as people and programs give them. Pure; what is wrong is a result, so that a caller can say where it stood. */
import { limits } from "../limits.ts";
import type { Json } from "./message.ts";

export type Checked<T> = { readonly value: T } | { readonly problem: string };

const encoder = new TextEncoder();
const most = limits.payloadBytes;

/** The refusal of JSON text that is over the limit. UTF-8 takes at most three bytes a unit: short text needs no count. */
function tooLong(text: string): { readonly problem: string } | undefined {
  if (text.length * 3 <= most) return undefined;
  const bytes = encoder.encode(text).length;
  return bytes <= most ? undefined : { problem: `the payload has ${bytes} bytes, the limit is ${most}` };
}

/**
 * The nesting depth of JSON text, counted without recursion and before anything is parsed; text that is not JSON gives
 * some number. Stops once beyond `enough`.
 */
export function jsonDepth(text: string, enough: number): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length && deepest <= enough; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x22) at = endOfString(text, at);
    else if (character === 0x5b || character === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (character === 0x5d || character === 0x7d) depth--;
  }
  return deepest;
}

/** Where the string that opens at `at` closes; the text's end if it does not. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    if (text.charCodeAt(end) === 0x22) return end;
    if (text.charCodeAt(end) === 0x5c) end++;
  }
  return text.length;
}

/** Any JSON, of at most `bytesMost` bytes as it stands. Length and depth are checked before it is parsed. */
export function parseJson(text: string, bytesMost: number, depthMost: number): Checked<unknown> {
  if (text.length > bytesMost) return { problem: `it has more than ${bytesMost} bytes` };
  if (jsonDepth(text, depthMost) > depthMost) return { problem: `it is nested deeper than ${depthMost} levels` };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: `it is not JSON (${(error as Error).message})` };
  }
}

/** A payload given as JSON. */
export function payloadFromJson(text: string): Checked<Json> {
  const refused = tooLong(text);
  if (refused !== undefined) return refused;
  const parsed = parseJson(text, most, limits.payloadDepth);
  if ("problem" in parsed) return { problem: `the payload cannot be sent: ${parsed.problem}` };
  return checkPayload(parsed.value as Json);
}

/** A payload in the form in which it is sent: some JSON grows when it is written anew (1e20, control characters). */
export function checkPayload(payload: Json): Checked<Json> {
  if (payload === null || typeof payload === "boolean" || typeof payload === "number") return { value: payload };
  return tooLong(JSON.stringify(payload)) ?? { value: payload };
}
