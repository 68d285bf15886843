import { expect, test } from "bun:test";
import { Backoff } from "../../src/coordinator/backoff.ts";
import { limits } from "../../src/limits.ts";

test("pauses double from one second to sixty, and then it is given up", () => {
  const backoff = new Backoff();
  const pauses: number[] = [];
  let now = 0;
  for (;;) {
    backoff.tried(now);
    if (!backoff.failed(now)) break;
    let pause = 0;
    while (!backoff.isDue(now + pause)) pause += 500;
    pauses.push(pause);
    now += pause;
  }
  expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
  expect(backoff.verdict).toBe("it has failed 8 times in a row");
});

test("one that held out long begins anew", () => {
  const backoff = new Backoff();
  for (let n = 0; n < limits.restartsMost; n++) {
    backoff.tried(0);
    expect(backoff.failed(0)).toBe(true);
  }
  backoff.tried(0);
  expect(backoff.failed(limits.restartMostMs + 1)).toBe(true);
  expect(backoff.isDue(limits.restartMostMs + 1 + limits.restartFirstMs)).toBe(true);
});

test("nothing is due while it runs", () => {
  const backoff = new Backoff();
  expect(backoff.isDue(1e9)).toBe(false);
  backoff.tried(0);
  backoff.failed(0);
  backoff.tried(1000);
  expect(backoff.isDue(1e9)).toBe(false);
});
