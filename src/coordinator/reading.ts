/** Checks one task as a task list gives it. Pure. Loads valibot. */
import * as v from "valibot";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { formatBytes, formatDuration, parseDurationMs } from "../message/quantity.ts";
import { type TaskSpec, taskPayload } from "./spec.ts";

const clean = v.pipe(
  v.string("expected a text"),
  v.check((text) => !text.includes("\0"), "has a NUL character, which no argument may"),
);

const name = v.pipe(clean, v.minLength(1, "is empty"), v.maxLength(256, "is longer than 256 characters"));

const timeout = v.pipe(
  v.union([v.number(), v.string()], "expected a duration like 500ms, 5s or 2m, or seconds"),
  v.transform((given) =>
    typeof given === "number" ? Math.round(given * 1000) : (parseDurationMs(given) ?? Number.NaN),
  ),
  v.check(
    (ms) => ms >= 1 && ms <= limits.timeoutMsMax,
    `expected a duration from 1ms to ${formatDuration(limits.timeoutMsMax)}, like 500ms, 5s or 2m`,
  ),
);

const wholeNumber = (least: number, most: number) => {
  const message = `expected a whole number from ${least} to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
};

const task = v.strictObject({
  id: v.optional(
    v.union([v.pipe(v.number(), v.safeInteger(), v.transform(String)), name], "expected a text or a whole number"),
  ),
  run: v.optional(
    v.union(
      [v.pipe(clean, v.minLength(1)), v.pipe(v.array(clean), v.minLength(1))],
      "expected a command: a text, or a list of texts",
    ),
  ),
  input: v.optional(v.string("expected a text")),
  env: v.optional(
    v.record(
      v.pipe(clean, v.regex(/^[^=]+$/, "a variable's name is not empty and has no =")),
      v.pipe(
        v.union([clean, v.number(), v.boolean()], "expected a text"),
        v.transform((value) => String(value)),
      ),
      "expected an object of variables",
    ),
  ),
  cwd: v.optional(v.pipe(clean, v.minLength(1, "is empty"))),
  timeout: v.optional(timeout),
  retries: v.optional(wholeNumber(0, limits.retriesMax)),
  priority: v.optional(wholeNumber(-1_000_000, 1_000_000), 0),
});

/**
 * Checks one task of a list. `where` begins the message of a refusal: "tasks.jsonl line 7".
 *
 * @throws CfnError malformed
 */
export function readTask(value: unknown, seq: number, command: readonly string[], where: string): TaskSpec {
  // An empty list has the keys of an object without any.
  const parsed = v.safeParse(task, Array.isArray(value) ? null : value);
  if (!parsed.success) throw new CfnError("malformed", `${where}: ${explain(parsed.issues[0], value)}`);
  const { id = String(seq), run, input, env, cwd, timeout: timeoutMs, retries, priority } = parsed.output;
  if (run === undefined && command.length === 0) {
    throw new CfnError("malformed", `${where}: the task has no "run"`, "add it, or give a command after --");
  }
  const spec: TaskSpec = {
    seq,
    id,
    label: id,
    run: run ?? command,
    ...(input === undefined ? {} : { input }),
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(retries === undefined ? {} : { retries }),
    priority,
  };
  checkBytes(spec, where);
  return spec;
}

/** The task that a plain line is: the line replaces `{}` in the command, or is appended to it. */
export function lineTask(line: string, seq: number, command: readonly string[], where: string): TaskSpec {
  const replaces = command.some((word) => word.includes("{}"));
  const run = replaces ? command.map((word) => word.replaceAll("{}", () => line)) : [...command, line];
  const spec: TaskSpec = { seq, id: String(seq), label: line, run, priority: 0 };
  checkBytes(spec, where);
  return spec;
}

/** Strings are measured by their length first: most tasks are small, and encoding each to count would double the work. */
function checkBytes(spec: TaskSpec, where: string): void {
  const inputBytes =
    spec.input === undefined || spec.input.length * 3 <= limits.taskInputBytes ? 0 : Buffer.byteLength(spec.input);
  if (inputBytes > limits.taskInputBytes) {
    throw new CfnError(
      "malformed",
      `${where}: the input has ${inputBytes} bytes, at most ${formatBytes(limits.taskInputBytes)} are allowed`,
      "put it into a file and name the file",
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(taskPayload(spec, 1, undefined)));
  if (bytes > limits.taskBytes - 4096) {
    throw new CfnError(
      "malformed",
      `${where}: the task has ${bytes} bytes, at most ${formatBytes(limits.taskBytes)} are allowed`,
      "put large data into a file and name the file",
    );
  }
}

function explain(issue: v.BaseIssue<unknown>, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return 'expected a task: an object like {"run": "make test"}';
  }
  const path = v.getDotPath(issue) ?? "";
  if (issue.expected === "never") {
    return `unknown key "${path}"; a task has id, run, input, env, cwd, timeout, retries, priority`;
  }
  return `"${path}" ${issue.message}`;
}
