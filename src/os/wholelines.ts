/** The lines of a file that is only ever appended to. What a death cut off at its end is no line. */
import { readInto, seekTo } from "./file.ts";

const NEWLINE = 10;
const CHUNK_BYTES = 256 * 1024;

/**
 * Calls `visit` for each line of `fd`, from the beginning, without its newline; the bytes are valid during the call. A line
 * longer than `bytesMost` comes cut to that. Returns how many bytes the whole lines are, their newlines included.
 */
export function visitWholeLines(fd: number, bytesMost: number, visit: (line: Uint8Array) => void): number {
  seekTo(fd, 0);
  const chunk = new Uint8Array(CHUNK_BYTES);
  let parts: Uint8Array[] = [];
  let held = 0;
  let begun = 0;
  let whole = 0;
  for (let got = readInto(fd, chunk); got > 0; got = readInto(fd, chunk)) {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0 && end < got; end = chunk.indexOf(NEWLINE, at)) {
      const last = chunk.subarray(at, Math.min(end, at + bytesMost - held));
      visit(held === 0 ? last : Buffer.concat([...parts, last]));
      whole += begun + end + 1 - at;
      parts = [];
      held = begun = 0;
      at = end + 1;
    }
    const rest = chunk.slice(at, Math.min(got, at + bytesMost - held));
    if (rest.length > 0) parts.push(rest);
    held += rest.length;
    begun += got - at;
  }
  return whole;
}
