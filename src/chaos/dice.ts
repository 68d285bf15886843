/** Chance by a seed: the same on every machine. Pure. */

export interface Dice {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  below(below: number): number;
  /** Uniform in [least, most). */
  between(least: number, most: number): number;
}

/** FNV-1a (Fowler, Noll, Vo) over the text, begun with the seed. */
function mix(seed: number, text: string): number {
  let state = (seed ^ 0x811c9dc5) >>> 0;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return state;
}

/**
 * Mulberry32 (Tommy Ettinger). Each purpose has a sequence of its own: leaving one out changes nothing in the others.
 */
export function dice(seed: number, purpose: string): Dice {
  let state = mix(seed, purpose);
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (below) => Math.floor(next() * below),
    between: (least, most) => least + next() * (most - least),
  };
}
