/** The only source of randomness; nothing that decides may use it except through an argument. */

import { assert } from "../assert.ts";
import { libc, pointerTo } from "./libc.ts";

const words = new Uint32Array(2);

/** Fresh bits from the kernel; the `crypto` object would cost a command 0.1 ms at start-up. */
function fill(): void {
  assert(libc.getrandom(pointerTo(words), 8) === 8, "the kernel gives eight random bytes at once");
}

/** 60 random bits as 12 characters of base 36, for ids that must not meet. */
export function randomId(): string {
  fill();
  const number = (words[0] as number) * 2 ** 28 + ((words[1] as number) >>> 4);
  return number.toString(36).padStart(12, "0");
}

/** A non-zero 32-bit number. */
export function randomWord(): number {
  fill();
  return ((words[0] as number) | 1) >>> 0;
}

/** Uniform in [0, 1): for jitter only. */
export function jitter(): number {
  return Math.random();
}
