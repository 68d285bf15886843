/** Input in lines, read by blocking calls: for one-shot commands. */
import { pollFile, readInto } from "./file.ts";
import { E } from "./libc.ts";

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 10;

/** One read; waits where a non-blocking descriptor has nothing yet. */
function readWaiting(fd: number, into: Uint8Array): number {
  for (;;) {
    const got = readInto(fd, into);
    if (got !== -E.AGAIN) return got;
    pollFile(fd, 1, 1000);
  }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/**
 * The lines of `fd` without their newlines, in blocks: those that one read completed. So a slow writer's lines are seen as
 * they come. A last line without a newline counts. A line longer than `bytesMost` is given cut, one byte longer than that,
 * and ends the reading. Returns 0 at the end, or the negated error number.
 */
export function* lineBlocks(fd: number, bytesMost: number): Generator<Uint8Array[], number> {
  const buffer = new Uint8Array(BLOCK_BYTES);
  let rest: Uint8Array = new Uint8Array(0);
  for (;;) {
    const got = readWaiting(fd, buffer);
    if (got < 0) return got;
    if (got === 0) {
      if (rest.length > 0) yield [rest];
      return 0;
    }
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0 && end < got; end = buffer.indexOf(NEWLINE, from)) {
      lines.push(join(rest, buffer.subarray(from, end)));
      rest = new Uint8Array(0);
      from = end + 1;
    }
    rest = join(rest, buffer.subarray(from, got));
    const isCut = rest.length > bytesMost;
    if (isCut) lines.push(rest.subarray(0, bytesMost + 1));
    if (lines.length > 0) yield lines;
    if (isCut) return 0;
  }
}

/** Everything that comes from `fd`; a negated error number; "too_long" where it is more than `bytesMost`. */
export function readToEnd(fd: number, bytesMost: number): Uint8Array | number | "too_long" {
  const buffer = new Uint8Array(BLOCK_BYTES);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const got = readWaiting(fd, buffer);
    if (got < 0) return got;
    if (got === 0) break;
    parts.push(buffer.slice(0, got));
    length += got;
    if (length > bytesMost) return "too_long";
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
