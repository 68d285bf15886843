import { expect, test } from "bun:test";
import { excused, type Seen, sampleAfter } from "../../src/agent/sampling.ts";
import { seeded } from "../support/seed.ts";

const seen = (changes: Partial<Seen> = {}): Seen => ({
  state: "S",
  stopped: false,
  cpuTicks: 5,
  outputBytes: 100,
  mark: 0,
  ...changes,
});

test("a process that is seen for the first time has just made progress", () => {
  expect(sampleAfter(undefined, seen(), 1000)).toMatchObject({ at: 1000, progressAt: 1000, stoppedSince: undefined });
});

test("CPU time or output is progress, nothing else is", () => {
  const first = sampleAfter(undefined, seen(), 1000);
  expect(sampleAfter(first, seen({ state: "R" }), 2000).progressAt).toBe(1000);
  expect(sampleAfter(first, seen({ cpuTicks: 6 }), 2000).progressAt).toBe(2000);
  expect(sampleAfter(first, seen({ outputBytes: 101 }), 2000).progressAt).toBe(2000);
  expect(sampleAfter(first, seen({ outputBytes: 0 }), 2000).progressAt).toBe(2000);
});

test("a stop lasts from the first look at it until one at which it has run", () => {
  const stop = (mark: number): Seen => seen({ state: "T", stopped: true, mark });
  const first = sampleAfter(undefined, stop(7), 1000);
  expect(first.stoppedSince).toBe(1000);
  expect(sampleAfter(first, stop(7), 2000).stoppedSince).toBe(1000);
  expect(sampleAfter(first, stop(8), 2000).stoppedSince).toBe(2000);
  expect(sampleAfter(first, seen(), 2000).stoppedSince).toBeUndefined();
});

test("a process is never said to have been stopped for longer than it was, however looks and signals fall", () => {
  const random = seeded("stops and looks");
  for (let round = 0; round < 2000; round++) {
    let [now, stoppedAt, mark]: [number, number | undefined, number] = [0, undefined, 1];
    let sample = sampleAfter(undefined, seen(), now);
    for (let step = 0; step < 30; step++) {
      now += 1 + Math.floor(random.next() * 700);
      if (random.next() < 0.4) {
        // Each signal lets it run for a moment.
        mark++;
        stoppedAt = stoppedAt === undefined ? now : undefined;
      } else {
        const stopped = stoppedAt !== undefined;
        sample = sampleAfter(sample, seen({ state: stopped ? "T" : "S", stopped, mark: stopped ? mark : 0 }), now);
        if (sample.stoppedSince !== undefined) expect(sample.stoppedSince).toBeGreaterThanOrEqual(stoppedAt ?? now + 1);
      }
    }
  }
});

test("time that the looker lost is held against nobody", () => {
  const sample = sampleAfter(undefined, seen({ state: "T", stopped: true, mark: 7 }), 1000);
  expect(excused(sample, 60_000)).toMatchObject({ progressAt: 61_000, stoppedSince: 61_000 });
});
