import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { errorText } from "../src/os/libc.ts";
import { readToEnd } from "../src/os/lines.ts";

/** All of stdin, as text. Throws malformed where it is longer than a payload may be, or not UTF-8. */
export function readStdin(): string {
  const bytes = readToEnd(0, limits.payloadBytes);
  if (bytes === "too_long")
    throw new CfnError("malformed", `stdin has more than the ${limits.payloadBytes} bytes that a payload may have`);
  if (typeof bytes === "number") throw new CfnError("malformed", `cannot read stdin: ${errorText(-bytes)}`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CfnError("malformed", "stdin is not UTF-8 text", "encode it first, with base64 for example");
  }
}
