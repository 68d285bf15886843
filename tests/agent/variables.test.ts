import { expect, test } from "bun:test";
import { sharedVariables, taskAsJson, taskVariables } from "../../src/agent/variables.ts";

const host = { busDir: "/bus", lead: "c1", runId: "r1", bin: "/bus/bin" };
const task = { task_id: "t", seq: 1, attempt: 3, run: "echo", timeout_ms: 1500 };
const KERNEL_MOST = 128 * 1024;

test("an agent does not inherit the task of the agent that its host runs in", () => {
  const variables = sharedVariables(
    { CFN_AGENT_ID: "outer", CFN_TASK: "{}", CFN_TASK_ID: "o", CFN_ATTEMPT: "9", A: "1" },
    host,
  );
  expect(Object.keys(variables).sort()).toEqual(["A", "CFN_BUS_DIR", "CFN_COORDINATOR_ID", "CFN_RUN_ID", "PATH"]);
});

test("the bus's own cfn comes first on the PATH", () => {
  expect(sharedVariables({ PATH: "/a:/b" }, host)["PATH"]).toBe("/bus/bin:/a:/b");
  expect(sharedVariables({}, host)["PATH"]).toStartWith("/bus/bin:/usr/");
});

test("the task's own variables win", () => {
  expect(taskVariables("w1", { ...task, env: { CFN_ATTEMPT: "x", B: "2" } })).toMatchObject({
    CFN_AGENT_ID: "w1",
    CFN_ATTEMPT: "x",
    B: "2",
  });
});

test("CFN_TASK is a task that cfn run takes", () => {
  expect(JSON.parse(taskAsJson({ ...task, input: "in" }))).toEqual({
    id: "t",
    run: "echo",
    input: "in",
    timeout: "1500ms",
  });
});

test("a task too long for one variable goes without its input, then without more, and never beyond the kernel's bound", () => {
  for (const [unit, units] of [
    ["x", 130_990],
    ["x", 131_200],
    ["ü", 66_000],
    ["€", 43_000],
    ["€", 44_000],
  ] as const) {
    const long = unit.repeat(units);
    for (const one of [
      { ...task, input: long },
      { ...task, run: long },
      { ...task, env: { A: long } },
    ]) {
      const text = taskAsJson(one);
      expect(Buffer.byteLength(`CFN_TASK=${text}`) + 1).toBeLessThanOrEqual(KERNEL_MOST);
      expect(JSON.parse(text)).toMatchObject({ id: "t" });
    }
  }
  expect(JSON.parse(taskAsJson({ ...task, input: "x".repeat(200_000) }))).toEqual({
    id: "t",
    run: "echo",
    timeout: "1500ms",
  });
});
