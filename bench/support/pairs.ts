/** Comparing two contenders: in pairs, one directly after the other, so that a slow minute of the machine hits both. */
import { ratios } from "./stats.ts";

/** Does its work once and returns what it took, in milliseconds (or whatever both contenders count in). */
export type Contender = () => Promise<number>;

export interface Paired {
  readonly base: number[];
  readonly other: number[];
  /** Pair by pair, other / base. */
  readonly ratios: number[];
}

/** `rounds` pairs, the order changing from pair to pair. One run of each before, unless `cold`, warms the caches. */
export async function inPairs(rounds: number, base: Contender, other: Contender, cold = false): Promise<Paired> {
  if (!cold) {
    await base();
    await other();
  }
  const taken = { base: [] as number[], other: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["base", "other"] as const) : (["other", "base"] as const);
    for (const which of order) taken[which].push(await (which === "base" ? base() : other()));
  }
  return { ...taken, ratios: ratios(taken.other, taken.base) };
}
