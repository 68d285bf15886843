/** stdout: data only, each piece in one write. */
import { CfnError } from "../src/errors.ts";
import { writeAll } from "../src/os/file.ts";
import { E, errorText } from "../src/os/libc.ts";

/** Whoever read our output went away. The edge exits quietly, as by SIGPIPE. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

const encoder = new TextEncoder();

/** Writes the text; it has all been written when this returns. Throws OutputClosed, or cannot_create (a full disk). */
export function print(text: string): void {
  const outcome = writeAll(1, encoder.encode(text));
  if (outcome === -E.PIPE) throw new OutputClosed("stdout is closed");
  if (outcome < 0) throw new CfnError("cannot_create", `cannot write to stdout: ${errorText(-outcome)}`);
}

/** So much goes into a pipe in one piece, whoever else writes to it (PIPE_BUF). */
const PIECE_CHARS = 4096;

/** Lines of ASCII, each with its newline: as many in one write as stay in one piece. */
export function printLines(lines: readonly string[]): void {
  let text = "";
  for (const line of lines) {
    if (text !== "" && text.length + line.length > PIECE_CHARS) {
      print(text);
      text = "";
    }
    text += line;
  }
  print(text);
}

export function printJson(value: unknown): void {
  print(`${JSON.stringify(value)}\n`);
}
