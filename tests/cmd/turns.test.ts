import { expect, test } from "bun:test";
import { Turns } from "../../cmd/turns.ts";
import type { Room } from "../../src/bus/contract.ts";
import { limits } from "../../src/limits.ts";
import type { Draft } from "../../src/message/message.ts";

const limit = 1000;
const draft = (to: string): Draft => ({ from: "a", to, type: "t", payload: null });

/** Senders that look at one inbox as they themselves say, on a clock of its own, and take what room there is when it is worth it. */
function simulate(senders: number, perMs: number, ms: number, patience = 1) {
  let now = 0;
  let depth = limit;
  let taken = 0;
  let due = 0;
  const seen = { looks: 0, turns: 0, emptyMs: 0, longestPauseMs: 0 };
  const bus = { room: (): Room => ({ free: limit - depth, limit, taken }) };
  const all = Array.from({ length: senders }, () => ({ turns: new Turns(bus), at: 0 }));
  const pause = (one: (typeof all)[number]): void => {
    const pauseMs = one.turns.pause([draft("slow")], now);
    seen.longestPauseMs = Math.max(seen.longestPauseMs, pauseMs);
    one.at = now + pauseMs;
  };
  for (const one of all) pause(one);
  for (; now < ms; now++) {
    for (due += perMs; due >= 1 && depth > 0; due--, depth--) taken++;
    if (depth === 0) {
      seen.emptyMs++;
      due = 0;
    }
    for (const one of all) {
      if (one.at > now) continue;
      seen.looks++;
      if (one.turns.isWorthATry([draft("slow")], now, patience)) {
        seen.turns++;
        depth = limit;
        one.turns.progress();
      }
      pause(one);
    }
  }
  return seen;
}

test("of many that wait for a slow reader few wake, and who tries finds room for a turn", () => {
  const { looks, turns, emptyMs } = simulate(50, 2, 60_000);
  expect(turns).toBeGreaterThan(0);
  expect(turns).toBeLessThan((1.2 * 60_000) / limits.turnMs);
  expect(looks).toBeLessThan(60 * 50 * 6);
  expect(emptyMs).toBe(0);
});

test("the reader of a single sender never finds its inbox empty, be it fast or slow", () => {
  for (const perMs of [0.02, 0.5, 2, 20]) expect([perMs, simulate(1, perMs, 20_000).emptyMs]).toEqual([perMs, 0]);
});

test("a reader that takes nothing is looked at now and then", () => {
  const { looks, turns, longestPauseMs } = simulate(1, 0, 60_000);
  expect(turns).toBe(0);
  expect(longestPauseMs).toBeLessThanOrEqual(1.5 * limits.sendRetryMostMs);
  expect(looks).toBeGreaterThan(60_000 / limits.sendRetryMostMs / 2);
});

test("one whose patience runs out is content with any room, and tries once more at its end", () => {
  let free = 1;
  let taken = 0;
  const turns = new Turns({ room: () => ({ free, limit, taken }) });
  turns.pause([draft("slow")], 0);
  taken = 2000;
  expect(turns.isWorthATry([draft("slow")], 1000, 1)).toBeFalse();
  expect(turns.isWorthATry([draft("slow")], 1000, 0.001)).toBeTrue();
  free = 0;
  expect(turns.isWorthATry([draft("slow")], 1000, 0.001)).toBeFalse();
  expect(turns.isWorthATry([draft("slow")], 1000, 0)).toBeTrue();
});

test("one of several recipients with room is enough, and so is one that has gone: the try says so", () => {
  const rooms = new Map<string, Room>([
    ["x", { free: 0, limit, taken: 0 }],
    ["y", { free: 1, limit, taken: 0 }],
  ]);
  const turns = new Turns({ room: (id) => rooms.get(id) });
  expect(turns.isWorthATry([draft("x")], 0, 1)).toBeFalse();
  expect(turns.isWorthATry([draft("x"), draft("y")], 0, 1)).toBeTrue();
  expect(turns.isWorthATry([draft("gone")], 0, 1)).toBeTrue();
  expect(turns.pause([draft("gone")], 0)).toBe(0);
});
