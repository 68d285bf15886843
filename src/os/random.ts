/** The only source of randomness; nothing that decides may use it except through an argument. */

/** 60 random bits as 12 characters of base 36, for ids that must not meet. */
export function randomId(): string {
  const words = crypto.getRandomValues(new Uint32Array(2));
  const number = (words[0] as number) * 2 ** 28 + ((words[1] as number) >>> 4);
  return number.toString(36).padStart(12, "0");
}

/** A non-zero 32-bit number. */
export function randomWord(): number {
  return ((crypto.getRandomValues(new Uint32Array(1))[0] as number) | 1) >>> 0;
}

/** Uniform in [0, 1): for jitter only. */
export function jitter(): number {
  return Math.random();
}
