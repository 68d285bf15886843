import { expect, test } from "bun:test";
import { Timing } from "../../src/coordinator/timing.ts";
import type { ResultPayload, TaskPayload } from "../../src/message/protocol.ts";

const task = (seq: number): TaskPayload => ({ task_id: `t${seq}`, seq, attempt: 1, run: "x" });

/** Half a second of work. */
const result = (seq: number, started_at: number, attempt = 1): ResultPayload => ({
  ...{ task_id: `t${seq}`, seq, attempt, agent_id: "w1", reason: "exited", exit_code: 0, signal: 0 },
  ...{ started_at, run_time_ms: 500, stdout_bytes: 0, stderr_bytes: 0 },
});

const none = { p50: 0, p95: 0, p99: 0, max: 0 };

test("a task waits from its publication to its start, a result from its end until it is counted", () => {
  const timing = new Timing(1, 1);
  timing.published([task(1), task(2)], 1_000_000);
  expect(timing.ended(result(1, 1000.25), 1_000_875)).toEqual({ task: 250, result: 125 });
  expect(timing.ended(result(2, 1002), 1_002_500)).toEqual({ task: 2000, result: 0 });
  expect(timing.latency).toMatchObject({ task: { max: 2000 }, result: { max: 125 } });
});

test("an attempt that never began has no times, nor one that was not published or was counted before", () => {
  const timing = new Timing(1, 9);
  timing.published([task(1)], 1_000_000);
  expect(timing.ended(result(1, 0), 1_000_875)).toBeUndefined();
  expect(timing.ended(result(1, 1000.25), 1_000_875)).toBeUndefined();
  expect(timing.ended(result(2, 1000.25), 1_000_875)).toBeUndefined();
  expect(timing.latency).toEqual({ task: none, result: none });
  expect(timing.spawnMs).toBe(0);
});

test("a task that is published again counts from then", () => {
  const timing = new Timing(1, 1);
  timing.published([task(1)], 1_000_000);
  timing.published([task(1)], 1_001_000);
  expect(timing.ended(result(1, 1001.5, 2), 1_002_000)).toEqual({ task: 500, result: 0 });
});

test("the spawn time is that of the first attempts at as many tasks as there are workers", () => {
  const timing = new Timing(4, 3);
  timing.published([task(1), task(2), task(3), task(4)], 1_000_000);
  timing.ended(result(2, 1002, 4), 1_010_000);
  expect(timing.spawnMs).toBe(0);
  timing.ended(result(3, 1001.5, 4), 1_010_000);
  timing.ended(result(1, 1001, 5), 1_010_000);
  timing.ended(result(4, 1009, 4), 1_010_000);
  expect(timing.spawnMs).toBe(500);
});
