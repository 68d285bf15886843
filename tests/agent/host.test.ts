import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Json } from "../../src/message/message.ts";
import type { ResultPayload } from "../../src/message/protocol.ts";
import type { Outcome, Scenario } from "../fixtures/agents/host.ts";
import { repositoryRoot, runCommand } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";

const fixture = (name: string): string => resolve(repositoryRoot, "tests/fixtures/agents", name);

const task = (run: Json, more: Record<string, Json> = {}, to = "w1", seq = 1) => ({
  to,
  type: "task",
  payload: { task_id: `t${seq}`, seq, attempt: 1, run, ...more },
});

const starters = [
  ["its own thread", false],
  ["another thread", true],
  ["its own thread, since the other one does not start", "missing"],
] as const;

/** Whether another thread starts the agents of the tests under way. */
let thread: boolean | "missing" = false;

/** Runs a scenario in a host of its own, which must leave nothing but its spool. */
function hosted(scenario: Partial<Scenario>): Promise<Outcome> {
  return withBusBase(async (base) => {
    const whole = { seats: ["w1"], messages: [], results: 1, thread, ...scenario };
    const { stdout, stderr, code } = await runCommand([process.execPath, fixture("host.ts"), base], {
      stdin: JSON.stringify(whole),
    });
    if (code !== 0) throw new Error(`the host ended with ${code}: ${stderr}`);
    rmSync(`${base}/spool`, { recursive: true });
    return JSON.parse(stdout) as Outcome;
  });
}

async function only(
  run: Json,
  more: Record<string, Json> = {},
  rest: Partial<Scenario> = {},
): Promise<[ResultPayload, Outcome]> {
  const outcome = await hosted({ messages: [task(run, more)], ...rest });
  expect(outcome.results).toHaveLength(1);
  expect(outcome.unread).toBe(0);
  return [outcome.results[0] as ResultPayload, outcome];
}

const isGone = (pid: string): boolean => {
  expect(pid).toMatch(/^[0-9]+$/);
  return !existsSync(`/proc/${pid}`);
};

describe.each(starters)("a hosted agent, started by %s", (_, other) => {
  beforeAll(() => {
    thread = other;
  });

  test("gets its input on stdin, and its output is in the spool", async () => {
    const [result, { stdout }] = await only([fixture("echo.sh")], { input: "one\ntwo\n" });
    expect(result).toMatchObject({ reason: "exited", exit_code: 0, signal: 0, stdout_bytes: 8, stderr_bytes: 3 });
    expect(stdout).toEqual({ "1.1.out": "one\ntwo\n", "1.1.err": "w1\n" });
  });

  test("finds its run, task, lead and bus in the environment, and the task's own variables over them", async () => {
    const run =
      'echo "$CFN_RUN_ID $CFN_AGENT_ID $CFN_COORDINATOR_ID $CFN_TASK_ID $CFN_ATTEMPT $A"; test -d "$CFN_BUS_DIR"';
    const [result, { stdout }] = await only(run, { env: { A: "a b" } });
    expect(result.exit_code).toBe(0);
    expect(stdout["1.1.out"]).toBe("test w1 lead t1 1 a b\n");
  });

  test("starts in the directory of its task", async () => {
    const [, { stdout }] = await only("pwd", { cwd: "/usr" });
    expect(stdout["1.1.out"]).toBe("/usr\n");
  });

  test("that inherits nothing of Bun's dies of a broken pipe like any other", async () => {
    const [, { stdout }] = await only(
      "sh -c 'sleep 0.1; echo x; echo $? >&2' | true; grep -i sigign /proc/self/status",
    );
    expect(stdout["1.1.out"]).toBe("SigIgn:\t0000000000000000\n");
  });

  test("that was stopped under an earlier host is refused its task, and nobody is told before there is a host", async () => {
    const stop = { to: "w1", type: "stop", payload: { grace_ms: 0 } };
    const { results, calledEarly, states } = await hosted({ before: [task("true"), stop] });
    expect(results).toMatchObject([{ task_id: "t1", reason: "cancelled", detail: "cancelled before it was started" }]);
    expect(calledEarly).toBe(0);
    expect(states["w1 at last"]).toBe("STOPPED\n");
  });

  test("has the states SPAWNED, WORKING and COMPLETE in turn", async () => {
    const [, { states, heartbeat }] = await only(["sleep", "0.1"]);
    expect(states).toEqual({ "w1 at first": "SPAWNED\n", "w1 then": "WORKING\n", "w1 at last": "COMPLETE\n" });
    expect(heartbeat).toMatch(/^[0-9]+\.[0-9]{3} [0-9]+ [0-9]+\n$/);
  });

  test("that closes its stdin does no harm", async () => {
    const [result, { stdout }] = await only([fixture("close-stdin.sh")], { input: "x".repeat(200_000) });
    expect(result).toMatchObject({ reason: "exited", exit_code: 0 });
    expect(stdout["1.1.out"]).toBe("closed\n");
  });

  test("that crashes is reported with its signal", async () => {
    const [result] = await only([fixture("crash-after.sh"), "2"], { input: "1\n2\n3\n" });
    expect(result).toMatchObject({ reason: "signalled", exit_code: 139, signal: 11 });
  });

  test("that cannot be found is 127, one that cannot be executed 126, each with what to do", async () => {
    const [missing] = await only(["no-such-program"]);
    expect(missing).toMatchObject({
      reason: "not_started",
      exit_code: 127,
      detail: "command not found: no-such-program",
    });
    const [directory] = await only(["/etc"]);
    expect(directory).toMatchObject({ reason: "not_started", exit_code: 126 });
    const [text] = await only(["/etc/passwd"]);
    expect(text.detail).toContain("permission denied");
    const [nowhere] = await only(["true"], { cwd: "/no/such" });
    expect(nowhere).toMatchObject({ exit_code: 126, detail: "cwd is not a directory: /no/such" });
    const [long] = await only(["true", "x".repeat(200_000)]);
    expect(long.detail).toContain("128 KiB");
    const [nul] = await only(["true", "a\0b"]);
    expect(nul.detail).toContain("NUL");
  });

  test("that hangs is ended at its timeout with 124", async () => {
    const [result] = await only([fixture("hang.sh")], { timeout_ms: 100 });
    expect(result).toMatchObject({ reason: "timed_out", exit_code: 124, signal: 15 });
  });

  test("that ignores SIGTERM is killed after the grace", async () => {
    const [result] = await only([fixture("ignore-sigterm.sh")], { timeout_ms: 300 });
    expect(result).toMatchObject({ reason: "timed_out", exit_code: 124, signal: 9 });
  });

  test("that is stopped by SIGSTOP is ended all the same", async () => {
    const [result] = await only("kill -STOP $$", { timeout_ms: 200 });
    expect(result).toMatchObject({ reason: "timed_out", exit_code: 124, signal: 15 });
  });

  test("that floods its stdout is ended, and so is one that wrote too much before it was noticed", async () => {
    const [endless] = await only([fixture("flood-stdout.sh")]);
    expect(endless).toMatchObject({ reason: "output_limit", signal: 9 });
    expect(endless.detail).toContain("1048576 bytes on stdout");
    const [quick] = await only("head -c 1048577 /dev/zero");
    expect(quick).toMatchObject({ reason: "output_limit", exit_code: expect.any(Number) });
    expect(quick.exit_code).not.toBe(0);
    const [exact] = await only("head -c 1048576 /dev/zero");
    expect(exact).toMatchObject({ reason: "exited", exit_code: 0, stdout_bytes: 1048576 });
  });

  test("takes the grandchild it leaves in its group with it", async () => {
    const [result, { stdout, survivors }] = await only([fixture("leave-grandchild.sh")]);
    expect(result).toMatchObject({ reason: "exited", exit_code: 0 });
    expect(survivors).toBe(0);
    expect(isGone((stdout["1.1.out"] as string).trim())).toBe(true);
  });

  test("takes the grandchild that made itself a session with it when the host ends its descendants", async () => {
    const [result, { stdout, survivors, left }] = await only([fixture("setsid-grandchild.sh")], {}, { survivors: 1 });
    expect(survivors).toBe(1);
    expect(result.exit_code).toBe(0);
    expect(left).toEqual([]);
    expect(isGone((stdout["1.1.out"] as string).trim())).toBe(true);
  });
});

describe.each(starters)("a host, started by %s", (_, other) => {
  beforeAll(() => {
    thread = other;
  });

  test("does the tasks of one seat one after the other", async () => {
    const messages = [1, 2, 3].map((seq) =>
      task(`mkdir "$CFN_BUS_DIR/busy" && sleep 0.05 && rmdir "$CFN_BUS_DIR/busy"`, {}, "w1", seq),
    );
    const { results, unread } = await hosted({ messages, results: 3 });
    expect(results.map(({ task_id, exit_code }) => [task_id, exit_code])).toEqual([
      ["t1", 0],
      ["t2", 0],
      ["t3", 0],
    ]);
    expect(unread).toBe(0);
  });

  test("serves many seats at once", async () => {
    const seats = Array.from({ length: 60 }, (_, n) => `w${n + 1}`);
    const messages = seats.map((seat, n) => task('echo "$CFN_AGENT_ID"', {}, seat, n + 1));
    const { results, stdout } = await hosted({ seats, messages, results: 60 });
    expect(new Set(results.map(({ agent_id }) => agent_id))).toEqual(new Set(seats));
    expect(stdout["60.1.out"]).toBe("w60\n");
  });

  test("that is closed before it has opened all its seats leaves the rest alone", async () => {
    const seats = Array.from({ length: 300 }, (_, n) => `w${n + 1}`);
    await hosted({ seats, results: 0, closeAtOnce: true });
  });

  test("cancels a running task though the message stands behind it in the inbox", async () => {
    const whileWorking = { to: "w1", type: "cancel", payload: { task_id: "t1" } };
    const [result] = await only([fixture("hang.sh")], {}, { whileWorking });
    expect(result).toMatchObject({ reason: "cancelled", exit_code: 143 });
  });

  test("answers a waiting task that is cancelled without starting it, and does the one behind it", async () => {
    const messages = [
      task(["sleep", "0.1"], {}, "w1", 1),
      task(["touch", "/proc/never"], {}, "w1", 2),
      task(["true"], {}, "w1", 3),
      { to: "w1", type: "cancel", payload: { task_id: "t2" } },
    ];
    const { results, unread } = await hosted({ messages, results: 3 });
    const reasons = Object.fromEntries(results.map(({ task_id, reason }) => [task_id, reason]));
    expect(reasons).toEqual({ t1: "exited", t2: "cancelled", t3: "exited" });
    expect(unread).toBe(0);
  });

  test("that is stopped answers every task, running and waiting", async () => {
    const messages = [task([fixture("ignore-sigterm.sh")], {}, "w1", 1), task(["true"], {}, "w1", 2)];
    const { results } = await hosted({ messages, results: 2, stopGraceMs: 50 });
    expect(results.map(({ reason }) => reason)).toEqual(["cancelled", "cancelled"]);
  });

  test("says what is wrong with a malformed message and goes on", async () => {
    const bad: Json[] = [null, [], { task_id: "" }, { task_id: "x", seq: 0.5, attempt: 1, run: "x" }];
    const messages = [...bad.map((payload) => ({ to: "w1", type: "task", payload })), task(["true"])];
    const { results, warnings, unread } = await hosted({ messages });
    expect(results).toHaveLength(1);
    expect(warnings).toHaveLength(bad.length);
    expect(warnings.at(-1)).toContain("its seq is not valid");
    expect(unread).toBe(0);
  });
});
