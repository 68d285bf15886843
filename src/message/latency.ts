/**
 * Durations counted in buckets that grow by 1 %, so that a million of them take the memory of a few hundred: quantiles are
 * exact to 1 %, the largest is exact.
 */
export interface Quantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

const GROWTH = Math.log(1.01);
const LEAST_MS = 0.001;

export class LatencyCounts {
  private readonly buckets = new Map<number, number>();
  private count = 0;
  private max = 0;

  /** Milliseconds; a clock that went backwards counts as 0. */
  add(ms: number): void {
    const value = Math.max(ms, 0);
    const bucket = bucketOf(value);
    this.buckets.set(bucket, (this.buckets.get(bucket) ?? 0) + 1);
    this.count++;
    this.max = Math.max(this.max, value);
  }

  /** How many there are. */
  get total(): number {
    return this.count;
  }

  /** How many are at most `ms`, exact to 1 %. */
  upTo(ms: number): number {
    if (ms >= this.max) return this.count;
    const last = bucketOf(ms);
    let sum = 0;
    for (const [bucket, count] of this.buckets) if (bucket <= last) sum += count;
    return sum;
  }

  /** Milliseconds, to the microsecond; all 0 if nothing was added. */
  quantiles(): Quantiles {
    const sorted = [...this.buckets].sort(([a], [b]) => a - b);
    const at = (share: number): number => {
      let left = Math.ceil(share * this.count);
      for (const [bucket, count] of sorted) {
        left -= count;
        if (left <= 0) return round(Math.min(bucket === 0 ? 0 : LEAST_MS * Math.exp(bucket * GROWTH), this.max));
      }
      return round(this.max);
    };
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: round(this.max) };
  }
}

const bucketOf = (ms: number): number => (ms < LEAST_MS ? 0 : 1 + Math.floor(Math.log(ms / LEAST_MS) / GROWTH));

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
