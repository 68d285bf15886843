import { expect, test } from "bun:test";
import { DurationHistogram } from "../../src/metrics/histogram.ts";
import { seeded } from "../support/seed.ts";

test("a histogram counts what counting one by one counts, however many values there are", () => {
  const random = seeded("durations in buckets");
  for (const many of [0, 1, 255, 256, 257, 3000]) {
    const histogram = new DurationHistogram();
    const values = Array.from({ length: many }, () => Math.round(10 ** (random.next() * 9 - 2) * 1000) / 1000);
    for (const ms of values) histogram.add(ms);
    const { buckets, sum, count } = histogram.durations();
    expect(count).toBe(many);
    for (const { le, count: below } of buckets)
      expect({ le, below }).toEqual({ le, below: values.filter((ms) => ms <= le * 1000).length });
    expect(sum).toBeCloseTo(values.reduce((total, ms) => total + ms, 0) / 1000, 4);
  }
});

test("a value on a bound is in its bucket, one beyond the last in none, one of a clock gone backwards in the first", () => {
  const histogram = new DurationHistogram();
  for (const ms of [1, 2.5, 3_600_000, 3_600_000.001, -7]) histogram.add(ms);
  const { buckets, sum, count } = histogram.durations();
  expect(buckets.slice(0, 3)).toEqual([
    { le: 0.001, count: 2 },
    { le: 0.0025, count: 3 },
    { le: 0.005, count: 3 },
  ]);
  expect(buckets.at(-1)).toEqual({ le: 3600, count: 4 });
  expect(count).toBe(5);
  expect(sum).toBeCloseTo(7200.0035, 3);
});

test("a histogram that was asked goes on counting", () => {
  const histogram = new DurationHistogram();
  histogram.add(1);
  expect(histogram.durations().count).toBe(1);
  histogram.add(2);
  expect(histogram.durations()).toMatchObject({ count: 2, sum: 0.003 });
});
