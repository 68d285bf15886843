import { expect, test } from "bun:test";
import { readdirSync, truncateSync } from "node:fs";
import { makeRoster, readRoster } from "../../src/bus/roster.ts";
import { systemMs } from "../../src/os/clock.ts";
import { withOpenBus } from "../support/open-bus.ts";

const times = { startedAt: 1_700_000_000.25, runTimeMs: 12.5 };

test("a roster says what each busy seat runs, and how the others ended", () =>
  withOpenBus((_, dir) => {
    const roster = makeRoster(dir, "c1", 2, 4);
    for (const seat of [0, 1, 2]) roster.launching(seat, 100 + seat, 1);
    roster.running(1, 4711, times.startedAt);
    roster.running(2, 4712, times.startedAt);
    roster.ended(2, { ...times, exitCode: 124, signal: 15, reason: "timed_out" });
    roster.count({ expected: 6, delivered: 5, duplicates: 1 });
    const read = readRoster(dir, "c1", 2);
    expect(read?.counts).toEqual({ expected: 6, delivered: 5, duplicates: 1 });
    expect(read?.entries).toMatchObject([
      { seat: 0, state: "launching", seq: 100, attempt: 1, pid: 0, startedAt: 0 },
      { seat: 1, state: "running", seq: 101, attempt: 1, pid: 4711, startedAt: times.startedAt, runTimeMs: 0 },
      { seat: 2, state: "ended", seq: 102, ...times, exitCode: 124, signal: 15, reason: "timed_out" },
    ]);
  }));

test("a seat's next task takes the place of its last", () =>
  withOpenBus((_, dir) => {
    const roster = makeRoster(dir, "c1", 1, 1);
    roster.launching(0, 1, 1);
    roster.running(0, 4711, times.startedAt);
    roster.ended(0, { ...times, exitCode: 0, signal: 0, reason: "exited" });
    roster.launching(0, 2, 3);
    expect(readRoster(dir, "c1", 1)?.entries).toMatchObject([
      { state: "launching", seq: 2, attempt: 3, pid: 0, runTimeMs: 0 },
    ]);
  }));

test("there is none of another epoch, nor where the file is cut", () =>
  withOpenBus((_, dir) => {
    makeRoster(dir, "c1", 1, 3);
    expect(readRoster(dir, "c1", 2)).toBeUndefined();
    expect(readdirSync(`${dir}/rosters`)).toEqual(["c1.1"]);
    truncateSync(`${dir}/rosters/c1.1`, 100);
    expect(readRoster(dir, "c1", 1)?.entries).toEqual([]);
    truncateSync(`${dir}/rosters/c1.1`, 10);
    expect(readRoster(dir, "c1", 1)).toBeUndefined();
  }));

test("a roster has its maker's first beat from the beginning", () =>
  withOpenBus((_bus, dir) => {
    const before = systemMs();
    makeRoster(dir, "c1", 1, 3);
    expect(readRoster(dir, "c1", 1)?.beatAt).toBeWithin(before, systemMs() + 1);
  }));
