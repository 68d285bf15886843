import { expect, test } from "bun:test";
import { endingOf, notStarted } from "../../src/agent/ending.ts";
import { resultOf } from "../../src/agent/result.ts";

const cause = (why: "timed_out" | "cancelled" | "output_limit") => ({ why, detail: "why" });

test("an agent that nobody ended keeps its own exit status", () => {
  expect(endingOf({ code: 0, signal: 0 }, undefined)).toEqual({ reason: "exited", exitCode: 0, signal: 0 });
  expect(endingOf({ code: 255, signal: 0 }, undefined)).toMatchObject({ reason: "exited", exitCode: 255 });
  expect(endingOf({ code: 137, signal: 9 }, undefined)).toMatchObject({
    reason: "signalled",
    exitCode: 137,
    signal: 9,
  });
});

test("a timeout is 124 whatever the agent made of the signal", () => {
  for (const exit of [
    { code: 0, signal: 0 },
    { code: 137, signal: 9 },
    { code: 3, signal: 0 },
  ]) {
    expect(endingOf(exit, cause("timed_out"))).toMatchObject({ reason: "timed_out", exitCode: 124 });
  }
});

test("an agent that was ended never has exit status 0", () => {
  for (const why of ["cancelled", "output_limit"] as const) {
    expect(endingOf({ code: 0, signal: 0 }, cause(why))).toMatchObject({ reason: why, exitCode: 143 });
    expect(endingOf({ code: 9, signal: 0 }, cause(why)).exitCode).toBe(9);
  }
});

test("a command that is not there is 127, any other that was not started 126", () => {
  expect(notStarted("not_found", "x").exitCode).toBe(127);
  expect(notStarted("not_executable", "x").exitCode).toBe(126);
  expect(notStarted("busy", "x").exitCode).toBe(126);
});

test("a result over the output limit is no success, one at the limit is", () => {
  const task = { task_id: "t", seq: 1, attempt: 1, run: "x" };
  const times = { startedAt: 1, runTimeMs: 1.23456 };
  const ending = { reason: "exited", exitCode: 0, signal: 0 } as const;
  expect(resultOf("a", task, ending, times, { out: 10, err: 0 }, 10)).toMatchObject({
    reason: "exited",
    run_time_ms: 1.235,
  });
  const over = resultOf("a", task, ending, times, { out: 0, err: 11 }, 10);
  expect(over).toMatchObject({ reason: "output_limit", exit_code: 1 });
  expect(over.detail).toContain("10 bytes on stderr");
});
