import { expect, test } from "bun:test";
import { truncateSync } from "node:fs";
import { makeBoard, readBoard } from "../../src/bus/board.ts";
import { withOpenBus } from "../support/open-bus.ts";

test("a board says what the master wrote last", () =>
  withOpenBus((_, dir) => {
    const board = makeBoard(dir, { pid: 42, workers: 7, coordinators: 3, tasks_total: -1 });
    board?.set({ completed: 5, tasks_total: 9 });
    board?.beat(123.5);
    board?.ready(0, true);
    board?.ready(2, true);
    board?.ready(2, false);
    expect(readBoard(dir)).toMatchObject({
      pid: 42,
      workers: 7,
      completed: 5,
      tasks_total: 9,
      failed: 0,
      beat_at: 123.5,
    });
    expect(readBoard(dir)?.ready).toEqual([true, false, false]);
  }));

test("waits are counted in buckets, each bound in the lower one", () =>
  withOpenBus((_, dir) => {
    const board = makeBoard(dir, {});
    for (const ms of [-1, 0.5, 1, 1.1, 10_000, 10_001, 60_000]) board?.waited("task", ms);
    board?.waited("result", 30);
    const { task, result } = readBoard(dir)?.waits ?? {};
    expect(task?.counts).toEqual([3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    expect(task?.sumMs).toBeCloseTo(80_003.6);
    expect(result?.counts.indexOf(1)).toBe(5);
  }));

test("there is none where the file is missing, cut or something else, and no second one", () =>
  withOpenBus((_, dir) => {
    expect(readBoard(dir)).toBeUndefined();
    expect(makeBoard(dir, {})).toBeDefined();
    expect(makeBoard(dir, {})).toBeUndefined();
    truncateSync(`${dir}/board`, 0);
    expect(readBoard(dir)).toBeUndefined();
    truncateSync(`${dir}/board`, 4096);
    expect(readBoard(dir)).toBeUndefined();
  }));
