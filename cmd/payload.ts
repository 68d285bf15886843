/** The payload that a command line gives: one of `--payload JSON`, `--text S`, and stdin where either is `-`. */
import { CfnError } from "../src/errors.ts";
import type { Json } from "../src/message/message.ts";
import { type Checked, checkPayload, payloadFromJson } from "../src/message/payload.ts";

function orThrow(checked: Checked<Json>): Json {
  if ("problem" in checked) throw new CfnError("malformed", checked.problem);
  return checked.value;
}

/** `text` is a JSON string in the message; "-" reads it from stdin. Throws malformed where it is over the limits. */
export async function textPayload(text: string, fromStdin: boolean): Promise<Json> {
  return orThrow(checkPayload(fromStdin ? await stdinText() : text));
}

/** JSON; "-" reads it from stdin. Throws malformed where it is none or over the limits. */
export async function jsonPayload(json: string): Promise<Json> {
  return orThrow(payloadFromJson(json === "-" ? await stdinText() : json));
}

async function stdinText(): Promise<string> {
  return (await import("./stdin.ts")).readStdin();
}
