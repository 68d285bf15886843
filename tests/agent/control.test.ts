import { expect, test } from "bun:test";
import { controlOf } from "../../src/agent/control.ts";
import type { Json } from "../../src/message/message.ts";

const message = (type: string, payload: Json) => ({
  msg_id: "m1",
  from: "lead",
  to: "w1",
  type,
  sequence: 1,
  timestamp: 1,
  payload,
});

const whole = {
  task_id: "t",
  seq: 1,
  attempt: 2,
  run: ["a"],
  input: "",
  env: { A: "" },
  cwd: "/",
  timeout_ms: 0.5,
};

test("a whole task is taken as it is", () => {
  expect(controlOf(message("task", whole))).toEqual({ kind: "task", task: whole });
});

const wrong: Record<string, Json[]> = {
  task_id: ["", 1, null],
  seq: [0, -1, 1.5, "1", 2 ** 60],
  attempt: [0, null],
  run: [[], [1], {}, 3],
  input: [1, ["x"]],
  env: [[], { A: 1 }, "A=1"],
  cwd: [1],
  timeout_ms: [-1, "5s"],
};

for (const [field, values] of Object.entries(wrong)) {
  test(`a task with a wrong ${field} is malformed, and the field is named`, () => {
    for (const value of values) {
      const control = controlOf(message("task", { ...whole, [field]: value }));
      expect(control).toMatchObject({ kind: "malformed", why: expect.stringContaining(`its ${field} is not valid`) });
    }
  });
}

test("cancel and stop carry what they must", () => {
  expect(controlOf(message("cancel", { task_id: "t" }))).toEqual({ kind: "cancel", taskId: "t" });
  expect(controlOf(message("stop", { grace_ms: 0 }))).toEqual({ kind: "stop", graceMs: 0 });
  expect(controlOf(message("cancel", {})).kind).toBe("malformed");
  expect(controlOf(message("stop", { grace_ms: -1 })).kind).toBe("malformed");
  expect(controlOf(message("greeting", {})).kind).toBe("malformed");
  expect(controlOf(message("task", [whole])).kind).toBe("malformed");
});
