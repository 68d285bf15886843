/** The few figures that are drawn from samples. Nothing is discarded: an outlier stays in the raw samples. */

/** The `share` quantile (0 to 1) by nearest rank; NaN of nothing. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle sample, or the mean of the two in the middle; NaN of nothing. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half] as number;
  return ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}

/** Pair by pair: `over[i] / under[i]`. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((sample, i) => sample / (under[i] ?? Number.NaN));
}

/** A figure for people: three significant digits, thousands set apart. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return `${Number(value.toPrecision(3))}`;
}
