import { describe, expect, test } from "bun:test";
import { lineTask, readTask } from "../../src/coordinator/reading.ts";
import { commandText, taskPayload } from "../../src/coordinator/spec.ts";
import { limits } from "../../src/limits.ts";

const read = (value: unknown, command: readonly string[] = []) => readTask(value, 3, command, "f line 3");

describe("a task", () => {
  test("has its position for an id where none was given", () => {
    expect(read({ run: "make" })).toEqual({ seq: 3, id: "3", label: "3", run: "make", priority: 0 });
  });

  test("takes every key", () => {
    const given = {
      id: "a",
      run: ["x", "y"],
      input: "in",
      env: { A: "1", B: 2 },
      cwd: "/tmp",
      timeout: "2m",
      retries: 3,
      priority: -1,
    };
    expect(read(given)).toEqual({
      seq: 3,
      id: "a",
      label: "a",
      run: ["x", "y"],
      input: "in",
      env: { A: "1", B: "2" },
      cwd: "/tmp",
      timeoutMs: 120_000,
      retries: 3,
      priority: -1,
    });
  });

  test("without a run is the command", () => {
    expect(read({ input: "x" }, ["cat"]).run).toEqual(["cat"]);
    expect(() => read({ input: "x" })).toThrow('f line 3: the task has no "run"');
  });

  test.each([
    [17, "expected a task"],
    [[], "expected a task"],
    [{ run: "x", timeuot: 1 }, 'unknown key "timeuot"'],
    [{ run: 7 }, '"run" expected a command'],
    [{ run: [] }, '"run"'],
    [{ run: "a\0b" }, '"run"'],
    [{ run: "x", timeout: "soon" }, '"timeout" expected a duration'],
    [{ run: "x", timeout: 0 }, '"timeout" expected a duration'],
    [{ run: "x", retries: 1.5 }, '"retries" expected a whole number from 0'],
    [{ run: "x", retries: -1 }, '"retries" expected a whole number from 0'],
    [{ run: "x", priority: "high" }, '"priority" expected a whole number'],
    [{ run: "x", env: { "A=B": "1" } }, '"env.A=B"'],
    [{ run: "x", input: 5 }, '"input" expected a text'],
    [{ run: "x", id: "" }, '"id"'],
  ])("%j is refused: %s", (value, message) => {
    expect(() => read(value)).toThrow(message);
  });

  test("with an input or a whole over the limit is refused", () => {
    expect(() => read({ run: "x", input: "é".repeat(limits.taskInputBytes / 2 + 1) })).toThrow("the input has");
    expect(() => read({ run: "x".repeat(limits.taskBytes) })).toThrow("the task has");
  });

  test("has its own timeout, or that of the run", () => {
    expect(taskPayload(read({ run: "x", timeout: 1 }), 2, 5000)).toMatchObject({ attempt: 2, timeout_ms: 1000 });
    expect(taskPayload(read({ run: "x" }), 1, 5000)).toMatchObject({ timeout_ms: 5000 });
    expect(taskPayload(read({ run: "x" }), 1, undefined)).not.toHaveProperty("timeout_ms");
  });
});

describe("a plain line", () => {
  test("is appended to the command, or stands where {} is", () => {
    expect(lineTask("a b", 1, ["echo"], "").run).toEqual(["echo", "a b"]);
    expect(lineTask("x", 1, ["cp", "{}", "{}.bak"], "").run).toEqual(["cp", "x", "x.bak"]);
  });

  test("is never a replacement pattern itself", () => {
    expect(lineTask("$& {}", 1, ["echo", "<{}>"], "").run).toEqual(["echo", "<$& {}>"]);
  });

  test("is the task's label", () => {
    expect(lineTask("x", 4, ["echo"], "")).toMatchObject({ id: "4", label: "x" });
  });
});

test("a command is shown as one line that a shell reads back", () => {
  expect(commandText(["echo", "a b", "it's", "x\ny"])).toBe("echo 'a b' 'it'\\\\''s' 'x\\ny'");
  expect(commandText("echo $x")).toBe("echo $x");
});
