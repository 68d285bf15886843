/** Seeded randomness for tests: the seed is printed, and CFN_TEST_SEED replays it. */

export interface Random {
  readonly seed: number;
  /** Uniform in [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  below(below: number): number;
}

export function seeded(subject: string): Random {
  const given = process.env["CFN_TEST_SEED"];
  const seed = given === undefined ? (Date.now() ^ (process.pid << 12)) >>> 0 : Number(given) >>> 0;
  process.stderr.write(`seed of "${subject}": CFN_TEST_SEED=${seed}\n`);
  return randomFrom(seed);
}

/** Mulberry32 (Tommy Ettinger): small, and the same on every machine. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next, below: (below) => Math.floor(next() * below) };
}
