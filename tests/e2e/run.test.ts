/** `cfn run` from end to end: what goes in, what comes out, what is reported. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { repositoryRoot } from "../support/binary.ts";
import { linesOf, withSwarm } from "../support/swarm.ts";

const numbers = (count: number): string => Array.from({ length: count }, (_, n) => `${n + 1}\n`).join("");

describe("a swarm", () => {
  test("of seven coordinators with a hundred workers each delivers every message once", () =>
    withSwarm(async ({ run, report }) => {
      const shape = ["--topology", "hybrid", "--coordinators", "7", "--workers-per-coordinator", "100"];
      const { code, stdout } = await run([...shape, "--", "sh", "-c", 'read -r x; echo "$CFN_AGENT_ID"']);
      expect(code).toBe(0);
      const ids = linesOf(stdout);
      expect(ids).toHaveLength(700);
      expect(new Set(ids).size).toBe(700);
      const { schema, status, topology, agents, tasks, delivery, levels } = report();
      expect({ schema, status, topology }).toEqual({ schema: "cfn.run/1", status: "completed", topology: "hybrid" });
      expect(agents).toEqual({ masters: 1, coordinators: 7, workers: 700 });
      expect(tasks).toEqual({ total: 700, completed: 700, failed: 0, timed_out: 0, cancelled: 0, retried: 0 });
      expect(delivery).toEqual({ expected: 2800, delivered: 2800, rate: 1, duplicates: 0, lost: [], withdrawn: 0 });
      expect([levels.mesh.rate, levels.hierarchical.rate]).toEqual([1, 1]);
      expect(levels.mesh.expected).toBe(1400);
    }));

  test("that is flat has one coordinator and as many ids as agents", () =>
    withSwarm(async ({ run, report }) => {
      const { code, stdout } = await run([
        "--agents",
        "60",
        "--",
        "sh",
        "-c",
        'echo "$CFN_AGENT_ID $CFN_COORDINATOR_ID"',
      ]);
      expect(code).toBe(0);
      expect(linesOf(stdout).sort()).toEqual(Array.from({ length: 60 }, (_, n) => `w${n + 1} c1`).sort());
      expect(report().agents).toEqual({ masters: 0, coordinators: 1, workers: 60 });
      expect(report().delivery).toMatchObject({ expected: 120, delivered: 120, rate: 1 });
    }));

  test("takes its shape from the environment, and options win", () =>
    withSwarm(async ({ run, report }) => {
      const env = { CFN_TOPOLOGY: "hybrid", CFN_COORDINATORS: "2", CFN_WORKERS_PER_COORDINATOR: "3" };
      await run(["--", "true"], { env });
      expect(report().agents).toEqual({ masters: 1, coordinators: 2, workers: 6 });
      await run(["--agents", "4", "--", "true"], { env: { CFN_MAX_AGENTS: "9" } });
      expect(report().agents).toEqual({ masters: 0, coordinators: 1, workers: 4 });
    }));

  test("gives agents the environment that it was given, in both topologies", () =>
    withSwarm(async ({ run }) => {
      for (const topology of ["flat", "hybrid"]) {
        const env = { BUN_OPTIONS: "--smol", PLAIN: "é =x" };
        const { code, stdout } = await run(
          [
            "--topology",
            topology,
            "--agents",
            "1",
            "--",
            "sh",
            "-c",
            'echo "$BUN_OPTIONS|$PLAIN|$(env | grep -cE "^(CFN_KEPT|BUN_JSC)")"',
          ],
          { env },
        );
        expect({ topology, code, stdout }).toEqual({ topology, code: 0, stdout: "--smol|é =x|0\n" });
      }
    }));

  test("lets workers ask each other for data while they work", () =>
    withSwarm(async ({ run }) => {
      const script = `${repositoryRoot}/tests/fixtures/agents/neighbours.sh`;
      const { code, stdout } = await run(["--agents", "4", "--keep-order", "--", script], { env: { WORKERS: "4" } });
      expect(code).toBe(0);
      expect(linesOf(stdout).sort()).toEqual([
        "w1 has 1, w2 has 4",
        "w2 has 4, w3 has 9",
        "w3 has 9, w4 has 16",
        "w4 has 16, w1 has 1",
      ]);
    }));
});

describe("a task list", () => {
  test("of plain lines is the arguments of the command", () =>
    withSwarm(async ({ run }) => {
      const { code, stdout } = await run(["--tasks", "-", "-k", "--", "echo", "<{}>"], { stdin: "a b\n$x\n" });
      expect({ code, stdout }).toEqual({ code: 0, stdout: "<a b>\n<$x>\n" });
    }));

  test("of JSON lines brings commands, input, environment and directory", () =>
    withSwarm(async ({ run, directory }) => {
      const tasks = [
        { id: "one", run: "cat; echo $A $CFN_TASK_ID", input: "in ", env: { A: "x" } },
        { run: ["pwd"], cwd: directory },
      ];
      writeFileSync(`${directory}/tasks.jsonl`, tasks.map((task) => JSON.stringify(task)).join("\n"));
      const { code, stdout } = await run(["--tasks", `${directory}/tasks.jsonl`, "-k"]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: `in x one\n${directory}\n` });
    }));

  test("longer than the swarm goes through it, in both topologies", () =>
    withSwarm(async ({ run, report, directory }) => {
      for (const shape of [
        ["--agents", "8"],
        ["--agents", "8", "--coordinators", "3"],
      ]) {
        const log = `${directory}/log`;
        const { code, stdout } = await run([...shape, "--tasks", "-", "--joblog", log, "--", "echo"], {
          stdin: numbers(500),
        });
        expect(code).toBe(0);
        expect(linesOf(stdout).sort()).toEqual(linesOf(numbers(500)).sort());
        expect(linesOf(readFileSync(log, "utf8"))).toHaveLength(501);
        expect(report().delivery).toMatchObject({ rate: 1, duplicates: 0, lost: [], withdrawn: 0 });
      }
    }));

  test("is never read further ahead than the workers and a little more", () =>
    withSwarm(async ({ shell, directory }) => {
      const report = `${directory}/r.json`;
      const { code } = await shell(`yes | "$0" run --report ${report} --agents 2 --tasks - --halt now -- false`);
      expect(code).toBe(1);
      expect(JSON.parse(readFileSync(report, "utf8")).tasks.total).toBeLessThanOrEqual(5);
    }));

  test("that is empty, or ends in the middle of a line, runs what it holds", () =>
    withSwarm(async ({ run }) => {
      const empty = await run(["--tasks", "-", "--", "echo"], { stdin: "" });
      expect(empty).toMatchObject({ code: 0, stdout: "", stderr: "cfn: warn: there were no tasks\n" });
      expect(await run(["--tasks", "-", "-k", "--", "echo"], { stdin: "a\nb" })).toMatchObject({
        code: 0,
        stdout: "a\nb\n",
      });
    }));

  test.each([
    ["a NUL", "ok\nb\0d\n", ["--", "echo"], "ok\n", "stdin line 2 has a NUL byte at column 2"],
    ["malformed JSON", '{"run":"echo ok"}\n{"run"\n', [], "ok\n", "stdin line 2 is not JSON"],
    ["an unknown key", '{"run":"echo ok","tiemout":1}\n', [], "", 'stdin line 1: unknown key "tiemout"'],
  ])("with %s is refused by line, after what stood before has run", (_, stdin, command, stdout, message) =>
    withSwarm(async ({ run }) => {
      const outcome = await run(["--tasks", "-", ...command], { stdin });
      expect(outcome).toMatchObject({ code: 65, stdout });
      expect(outcome.stderr).toContain(message);
    }),
  );

  test("that is a directory or is not there is refused before anything starts", () =>
    withSwarm(async ({ run, directory }) => {
      expect((await run(["--tasks", directory, "--", "echo"])).code).toBe(65);
      expect((await run(["--tasks", `${directory}/none`, "--", "echo"])).code).toBe(66);
      expect(existsSync(`${directory}/report.json`)).toBe(false);
    }));
});

describe("output", () => {
  const twoLines = ["sh", "-c", 'echo "$1 a"; sleep 0.05; echo "$1 b"; echo "$1 err" >&2', "-"];

  test("of agents is grouped, never mixed", () =>
    withSwarm(async ({ run }) => {
      const { stdout, stderr } = await run(["--tasks", "-", "--agents", "8", "--", ...twoLines], {
        stdin: numbers(24),
      });
      const lines = linesOf(stdout);
      for (let n = 0; n < lines.length; n += 2) expect(lines[n]?.replace(" a", " b")).toBe(lines[n + 1] as string);
      expect(lines).toHaveLength(48);
      expect(linesOf(stderr)).toHaveLength(24);
    }));

  test("comes in the order of the tasks with --keep-order", () =>
    withSwarm(async ({ run }) => {
      const command = ["sh", "-c", 'sleep "0.$(((10 - $1) % 10))"; echo "$1"', "-"];
      const { stdout } = await run(["--tasks", "-", "-k", "--agents", "10", "--", ...command], { stdin: numbers(10) });
      expect(stdout).toBe(numbers(10));
    }));

  test("carries the task with --tag", () =>
    withSwarm(async ({ run }) => {
      const { stdout } = await run(["--tasks", "-", "--tag", "-k", "--", "printf", "x\\ny{}"], { stdin: "p\nq\n" });
      expect(stdout).toBe("p\tx\np\typ\nq\tx\nq\tyq\n");
    }));

  test("comes line by line while agents run with --line-buffer", () =>
    withSwarm(async ({ shell, directory }) => {
      // The second line waits until the first has been read: grouped output would never get there.
      const agent = `echo first; while [ ! -e ${directory}/go ]; do sleep 0.02; done; echo second`;
      const reader = `{ read -r line; echo "$line"; : > ${directory}/go; cat; }`;
      const { stdout, timedOut } = await shell(`"$0" run --line-buffer --tag -- sh -c '${agent}' | ${reader}`);
      expect({ stdout, timedOut }).toEqual({ stdout: "1\tfirst\n1\tsecond\n", timedOut: false });
    }));

  test("is one object per task with --json", () =>
    withSwarm(async ({ run }) => {
      const stdin = '{"id":"good","run":"echo hi"}\n{"id":"bad","run":"echo no >&2; exit 3"}\n';
      const { code, stdout } = await run(["--tasks", "-", "--json", "-k"], { stdin });
      expect(code).toBe(1);
      const [good, bad, ...more] = linesOf(stdout).map((line) => JSON.parse(line));
      expect(good).toMatchObject({ type: "result", task_id: "good", seq: 1, ok: true, exit_code: 0, stdout: "hi\n" });
      expect(bad).toMatchObject({ task_id: "bad", seq: 2, ok: false, exit_code: 3, stdout: "", stderr: "no\n" });
      expect(more).toEqual([]);
    }));

  test("goes to a folder per task with --results", () =>
    withSwarm(async ({ run, directory }) => {
      const results = `${directory}/results`;
      await run(["--tasks", "-", "--results", results, "--", "sh", "-c", 'echo "$1"; echo e >&2', "-"], {
        stdin: "a/b\nc\n",
      });
      expect(readdirSync(`${results}/1`).sort()).toEqual(["a\\_b", "c"]);
      const read = (name: string): string => readFileSync(`${results}/1/a\\_b/${name}`, "utf8");
      expect([read("stdout"), read("stderr"), read("seq")]).toEqual(["a/b\n", "e\n", "1\n"]);
    }));

  test("that nobody reads any more ends the run, quietly", () =>
    withSwarm(async ({ shell, directory }) => {
      const agent = "head -c 300000 /dev/zero; sleep 0.1";
      const swarm = `"$0" run --agents 4 --tasks - -- sh -c '${agent}'`;
      const { stderr } = await shell(`{ ${swarm}; echo "$?" > ${directory}/code; } | head -c 1`, {
        stdin: numbers(200),
      });
      expect(readFileSync(`${directory}/code`, "utf8")).toBe("141\n");
      expect(stderr).toBe("");
    }));
});

describe("the joblog", () => {
  test("has a line per task, and --resume leaves those out", () =>
    withSwarm(async ({ run, report, directory }) => {
      const log = `${directory}/log`;
      await run(["--tasks", "-", "--joblog", log, "--", "sh", "-c", "exit $1", "-"], { stdin: "0\n3\n" });
      const fields = linesOf(readFileSync(log, "utf8")).map((line) => line.split("\t"));
      expect(fields[0]).toEqual("Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split(" "));
      expect(
        fields
          .slice(1)
          .map((line) => [line[0], line[6]])
          .sort(),
      ).toEqual([
        ["1", "0"],
        ["2", "3"],
      ]);
      const { stdout } = await run(["--tasks", "-", "-k", "--joblog", log, "--resume", "--", "echo"], {
        stdin: "a\nb\nc\nd\n",
      });
      expect(stdout).toBe("c\nd\n");
      expect(report().tasks.total).toBe(2);
      expect(linesOf(readFileSync(log, "utf8"))).toHaveLength(5);
    }));
});
