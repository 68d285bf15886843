/** Text to bytes and back, within larger buffers: UTF-8. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Native {
  utf8Write(this: Uint8Array, text: string, at: number, most: number): number;
  utf8Slice(this: Uint8Array, from: number, to: number): string;
}

/** The first use of `Buffer` costs what it saves with a thousand messages: a process that has only a few does without. */
const FEW = 64;
let calls = 0;
let native: Native | undefined;

function nativeSoon(): Native | undefined {
  if (++calls > FEW) native = Buffer.prototype as unknown as Native;
  return native;
}

/** Writes `text` at byte `at`; returns how many bytes it took. The caller has seen to it that `most` are enough. */
export function writeText(bytes: Uint8Array, at: number, most: number, text: string): number {
  const quick = native ?? nativeSoon();
  if (quick !== undefined) return quick.utf8Write.call(bytes, text, at, most);
  return encoder.encodeInto(text, bytes.subarray(at, at + most)).written;
}

/** The text of the bytes from `from` to `to`, both within `bytes`. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  const quick = native ?? nativeSoon();
  return quick === undefined ? decoder.decode(bytes.subarray(from, to)) : quick.utf8Slice.call(bytes, from, to);
}
