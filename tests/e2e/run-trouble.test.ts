/** `cfn run` in trouble: failing, hanging and flooding agents, signals, killed processes, wrong use. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { repositoryRoot } from "../support/binary.ts";
import { linesOf, until, withSwarm } from "../support/swarm.ts";

const agent = (name: string): string => `${repositoryRoot}/tests/fixtures/agents/${name}.sh`;

describe("a task that fails", () => {
  test("makes the exit status 1 and is named in the report", () =>
    withSwarm(async ({ run, report }) => {
      const { code, stderr } = await run(["--tasks", "-", "--", "sh", "-c", "exit $1", "-"], { stdin: "0\n7\n" });
      expect(code).toBe(1);
      expect(stderr).toBe("cfn: warn: 1 of 2 tasks did not succeed, the first: task 2: exit status 7\n");
      expect(report().status).toBe("failed");
      expect(report().failures).toMatchObject([{ task_id: "2", exit_code: 7, signal: 0, reason: "exited" }]);
    }));

  test("for want of its command has exit code 127", () =>
    withSwarm(async ({ run, report }) => {
      for (const topology of ["flat", "hybrid"]) {
        const { code, stderr } = await run(["--topology", topology, "--agents", "2", "--", "no-such-command"]);
        expect(code).toBe(1);
        expect(stderr).toContain("command not found: no-such-command");
        expect(report().tasks).toMatchObject({ total: 2, failed: 2 });
        expect(report().failures[0]).toMatchObject({ exit_code: 127, reason: "not_started" });
      }
    }));

  test("for want of its command leaves no folder of results, and says nothing else than that", () =>
    withSwarm(async ({ run, directory }) => {
      for (const topology of ["flat", "hybrid"]) {
        const results = `${directory}/${topology}`;
        const { code, stderr } = await run(["--topology", topology, "--results", results, "--", "no-such-command"]);
        expect(code, stderr).toBe(1);
        expect(stderr.trim().split("\n")).toHaveLength(1);
        expect(existsSync(`${results}/1/1`)).toBe(false);
      }
    }));

  test("is tried again as often as --retries says, and prints its last attempt only", () =>
    withSwarm(async ({ run, report }) => {
      const command = ["sh", "-c", 'echo "attempt $CFN_ATTEMPT"; [ "$CFN_ATTEMPT" = 3 ]'];
      expect(await run(["--retries", "2", "--", ...command])).toMatchObject({ code: 0, stdout: "attempt 3\n" });
      expect(report().tasks).toMatchObject({ total: 1, completed: 1, retried: 2 });
      expect(await run(["--retries", "1", "--", ...command])).toMatchObject({ code: 1, stdout: "attempt 2\n" });
    }));

  test("ends the run with --halt, soon or now", () =>
    withSwarm(async ({ run, report, directory }) => {
      const tasks = (sleeper: string): string =>
        [`: > ${directory}/started; ${sleeper}`, `while [ ! -e ${directory}/started ]; do sleep 0.01; done; exit 9`]
          .concat(Array.from({ length: 50 }, () => "echo more"))
          .map((command) => JSON.stringify({ run: command }))
          .join("\n");
      const soon = await run(["--tasks", "-", "--agents", "2", "--halt", "soon"], {
        stdin: tasks("sleep 0.5; echo done"),
      });
      expect(soon).toMatchObject({ code: 1, stdout: "done\n" });
      expect(report().tasks).toMatchObject({ completed: 1, failed: 1 });
      const now = await run(["--tasks", "-", "--agents", "2", "--halt", "now"], { stdin: tasks("sleep 60") });
      expect(now).toMatchObject({ code: 1, stdout: "", timedOut: false });
      expect(report().tasks).toMatchObject({ completed: 0, failed: 1 });
    }));

  test("by its time limit is ended though it ignores SIGTERM", () =>
    withSwarm(async ({ run, report }) => {
      const { code } = await run(["--timeout", "300ms", "--", agent("ignore-sigterm")]);
      expect(code).toBe(1);
      expect(report().tasks).toMatchObject({ timed_out: 1 });
      expect(report().failures[0]).toMatchObject({ exit_code: 124, reason: "timed_out" });
    }));

  test("by flooding its output is ended, and the rest goes on", () =>
    withSwarm(async ({ run, report }) => {
      const stdin = '{"run":"head -c 1000000000 /dev/zero"}\n{"run":"echo fine"}\n';
      const { code } = await run(["--tasks", "-", "--json"], { stdin, timeoutMs: 60_000 });
      expect(code).toBe(1);
      expect(report().tasks).toMatchObject({ total: 2, completed: 1, failed: 1 });
      expect(report().failures[0]).toMatchObject({ reason: "output_limit" });
    }));
});

describe("what an agent leaves behind", () => {
  test("ends with it or with the run, in a session of its own too", () =>
    withSwarm(async ({ run, report }) => {
      for (const topology of ["flat", "hybrid"]) {
        for (const name of ["leave-grandchild", "setsid-grandchild"]) {
          const { timedOut } = await run(["--topology", topology, "--agents", "2", "--", agent(name)]);
          expect({ topology, name, timedOut, done: report().tasks.completed }).toEqual({
            topology,
            name,
            timedOut: false,
            done: 2,
          });
        }
      }
    }));
});

describe("a signal", () => {
  for (const topology of ["flat", "hybrid"]) {
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      test(`${signal} in the middle of a ${topology} run leaves no process and no file`, () =>
        withSwarm(async ({ start, report, directory }) => {
          const command = ["sh", "-c", 'echo up >> "$LOG"; sleep 60 & wait'];
          const env = { LOG: `${directory}/log` };
          const running = start(["--topology", topology, "--agents", "30", "--", ...command], { env });
          await until(
            "all agents are up",
            () => existsSync(env.LOG) && linesOf(readFileSync(env.LOG, "utf8")).length === 30,
          );
          running.kill(signal);
          expect(await running.outcome).toMatchObject({ code: status, signal: null, timedOut: false });
          expect(report().status).toBe("interrupted");
          expect(report().tasks).toMatchObject({ total: 30, cancelled: 30 });
        }));
    }
  }

  test("that comes twice does not wait for agents that ignore it", () =>
    withSwarm(async ({ start, report, processes, directory }) => {
      const command = ["sh", "-c", 'trap "" TERM; echo up >> "$LOG"; while :; do sleep 1; done'];
      const env = { LOG: `${directory}/log` };
      const running = start(["--", ...command], { env });
      await until("the agent is up", () => existsSync(env.LOG));
      running.kill("SIGINT");
      await until("the first was seen", () => processes().length > 0);
      running.kill("SIGINT");
      expect(await running.outcome).toMatchObject({ code: 130 });
      expect(report().tasks.cancelled).toBe(1);
    }));

  test("while the task list has not ended ends the run", () =>
    withSwarm(async ({ shell, directory }) => {
      const swarm = `"$0" run --tasks - --line-buffer -- echo <&3 > ${directory}/out & pid=$!`;
      const wait = `while [ ! -s ${directory}/out ]; do sleep 0.02; done; kill -TERM $pid; wait $pid; echo "status $?"`;
      const { stdout } = await shell(`mkfifo ${directory}/f; exec 3<>${directory}/f; echo one >&3; ${swarm}; ${wait}`);
      expect(stdout).toBe("status 143\n");
    }));
});

describe("the time limit of a run", () => {
  test("ends it with status 124", () =>
    withSwarm(async ({ run, report }) => {
      const env = { CFN_MAX_COORDINATION_TIME: "0.3" };
      const { code } = await run(["--agents", "2", "--", "sleep", "60"], { env });
      expect(code).toBe(124);
      expect(report().status).toBe("timed_out");
      expect(report().tasks.cancelled).toBe(2);
    }));
});

describe("wrong use", () => {
  test.each([
    [[], "nothing to run"],
    [["--agents", "0", "--", "true"], "--agents"],
    [["--agents", "-3", "--", "true"], "from 1 to 20000"],
    [["--agents", "1.5", "--", "true"], "expected a whole number"],
    [["--agents", "99999999999999999999", "--", "true"], "expected a whole number"],
    [["--agentz", "3", "--", "true"], "did you mean --agents?"],
    [["--timeout", "0", "--", "true"], "expected a duration"],
    [["--halt", "later", "--", "true"], "expected never, soon, now"],
    [["--topology", "flat", "--coordinators", "2", "--", "true"], "a flat swarm has one coordinator"],
    [["--resume", "--", "true"], "--resume needs --joblog"],
    [["--line-buffer", "-k", "--", "true"], "exclude each other"],
  ])("%j is refused with status 64", (args, message) =>
    withSwarm(async ({ run }) => {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toContain(message);
    }),
  );

  test("files that cannot be written are refused before anything starts, with status 73", () =>
    withSwarm(async ({ run, directory }) => {
      writeFileSync(`${directory}/file`, "");
      for (const option of [
        ["--joblog", `${directory}/none/log`],
        ["--results", `${directory}/file`],
      ]) {
        const { code, stdout } = await run([...option, "--", "echo", "ran"]);
        expect({ option, code, stdout }).toEqual({ option, code: 73, stdout: "" });
      }
    }));

  test("a limit of the run's time that is none is refused", () =>
    withSwarm(async ({ run }) => {
      expect((await run(["--", "true"], { env: { CFN_MAX_COORDINATION_TIME: "soon" } })).code).toBe(64);
    }));
});

/** Makes and removes a directory, as runs do that begin and end, but more often than they could. */
const changing = `const { mkdirSync, rmdirSync } = require("node:fs");
  for (let there = false; ; there = !there) {
    try { there ? rmdirSync(process.argv[1]) : mkdirSync(process.argv[1], { mode: 0o700 }); } catch {}
    for (const until = performance.now() + 0.05; performance.now() < until; );
  }`;

test("a run begins though others remove the directory of buses meanwhile", () =>
  withSwarm(async ({ shell, base }) => {
    const others = Bun.spawn([process.execPath, "-e", changing, base]);
    try {
      for (let n = 0; n < 40; n++)
        expect(await shell('exec "$0" run -- echo done')).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    } finally {
      others.kill();
      await others.exited;
    }
  }));
