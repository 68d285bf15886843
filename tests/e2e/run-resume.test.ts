/**
 * The master is SIGKILLed in the middle, with all its processes, and `cfn run --resume` finishes what was left: each
 * task appends its number to a file, so that the file shows what ran, and how often.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { closeFile, O, openFile } from "../../src/os/file.ts";
import { tryLockFile } from "../../src/os/lock.ts";
import type { CommandOutcome, RunningCommand } from "../support/binary.ts";
import { journalsOf, killAll, loggedIn, numbersIn, reached, recordedIn, resultsIn } from "../support/killing.ts";
import { seeded } from "../support/seed.ts";
import { linesOf, type Swarm, until, withSwarm } from "../support/swarm.ts";

const COUNT = 120;
const WORKERS = 8;
const all = Array.from({ length: COUNT }, (_, n) => n + 1);
const list = all.map((n) => `${n}\n`).join("");
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const times = (numbers: readonly number[], wanted: number): number => numbers.filter((n) => n === wanted).length;

/** Every tenth task fails. */
const agent = ["sh", "-c", 'sleep 0.03; echo "$0" >> ran; echo "out $0"; [ $(($0 % 10)) != 0 ]'];
const shapes = { flat: [], hybrid: ["--coordinators", "2"] } as const;

interface Case {
  readonly name: string;
  readonly topology: keyof typeof shapes;
  readonly source: "file" | "stdin";
  readonly options?: readonly string[];
  readonly kills?: number;
  readonly reboot?: boolean;
}

const cases: readonly Case[] = [
  { name: "flat, from a file", topology: "flat", source: "file" },
  { name: "hybrid, from a file", topology: "hybrid", source: "file" },
  { name: "flat, from stdin", topology: "flat", source: "stdin" },
  { name: "hybrid, from stdin", topology: "hybrid", source: "stdin" },
  { name: "with --keep-order", topology: "flat", source: "file", options: ["-k"] },
  { name: "with --json", topology: "hybrid", source: "file", options: ["--json"] },
  { name: "killed three times", topology: "flat", source: "stdin", kills: 3 },
  { name: "hybrid, killed twice", topology: "hybrid", source: "file", kills: 2 },
  { name: "the machine restarted in between", topology: "hybrid", source: "stdin", reboot: true },
];

/** What is on /dev/shm and where temporary files go does not survive a restart. */
async function forget(swarm: Swarm): Promise<void> {
  const { stdout: base } = await swarm.shell('printf %s "$CFN_MESSAGE_BASE_DIR"');
  rmSync(base, { recursive: true, force: true });
}

describe("a run whose master was killed is finished by --resume", () => {
  for (const { name, topology, source, options = [], kills = 1, reboot = false } of cases) {
    test(
      `${name}: exactly the missing tasks run, and files and counts are those of an undisturbed run`,
      () =>
        withSwarm(async (swarm) => {
          const random = seeded(`resume: ${name}`);
          const { directory, start, resume, report } = swarm;
          writeFileSync(`${directory}/list`, list);
          const ran = `${directory}/ran`;
          const files = ["--joblog", "log", "--results", "results", ...options];
          const tasks = ["--tasks", source === "file" ? "list" : "-", "--agents", String(WORKERS)];
          const input = source === "stdin" ? { stdin: list } : {};
          const outputs: string[] = [];
          let run = start([...shapes[topology], ...tasks, ...files, "--", ...agent], { cwd: directory, ...input });
          let recorded: number[] = [];
          const kept: { readonly recorded: readonly number[]; readonly before: number }[] = [];
          for (let kill = 0, before = 0; kill < kills; kill++) {
            await reached(ran, before + 10 + random.below(15));
            await until("a result is recorded", () => recordedIn(journalsOf(swarm)[0]).length > recorded.length);
            run.kill("SIGKILL");
            if (reboot) await killAll(swarm);
            outputs.push((await run.outcome).stdout);
            before = numbersIn(ran).length;
            recorded = recordedIn(journalsOf(swarm)[0]);
            expect(before).toBeLessThan(COUNT);
            kept.push({ recorded, before });
            if (reboot) await forget(swarm);
            run = resume();
          }
          const { code, stdout, stderr } = await run.outcome;
          outputs.push(stdout);
          expect(code, stderr).toBe(1);
          expect(stderr).toContain(`${recorded.length} tasks have their result`);
          expect(stderr).not.toContain("had not been read to its end");

          const executed = numbersIn(ran);
          expect(sorted([...new Set(executed)])).toEqual(all);
          for (const { recorded, before } of kept) {
            const after = new Set(executed.slice(before));
            expect(recorded.filter((seq) => after.has(seq))).toEqual([]);
          }
          // Of those under way at a kill: the workers' tasks, and results that were on their way.
          expect(executed.length - COUNT).toBeLessThanOrEqual(kills * 4 * WORKERS);

          expect(sorted(loggedIn(`${directory}/log`))).toEqual(all);
          if (options.includes("-k")) expect(loggedIn(`${directory}/log`)).toEqual(all);
          expect(resultsIn(`${directory}/results`)).toEqual(
            Object.fromEntries(all.map((n) => [String(n), `${n}\n||out ${n}\n`])),
          );
          const printed = linesOf(outputs.join("")).map((line) =>
            options.includes("--json") ? (JSON.parse(line) as { seq: number }).seq : Number(line.slice("out ".length)),
          );
          expect(sorted([...new Set(printed)])).toEqual(all);
          expect(printed.length - COUNT).toBeLessThanOrEqual(kills * 4 * WORKERS);
          expect(report().tasks).toEqual({
            total: COUNT,
            completed: COUNT - COUNT / 10,
            failed: COUNT / 10,
            timed_out: 0,
            cancelled: 0,
            retried: 0,
          });
          expect(report().status).toBe("failed");
          expect(sorted(report().failures.map(({ task_id }) => Number(task_id)))).toEqual(
            all.filter((n) => n % 10 === 0),
          );
          expect(journalsOf(swarm)).toHaveLength(1);
        }),
      60_000,
    );
  }

  test("one without a list, in its directory, with the retries that it had and its number of agents", () =>
    withSwarm(async (swarm) => {
      const { directory, start, resume, report } = swarm;
      // The second task fails at first.
      const fails = '[ "$CFN_TASK_ID.$CFN_ATTEMPT" != 2.1 ] || exit 1';
      const waits = '[ "$CFN_TASK_ID" -le 3 ] || until [ -e go ]; do sleep 0.02; done';
      const script = `${fails}; ${waits}; echo "$CFN_TASK_ID" >> ran; echo "$CFN_ATTEMPT" >> numbers; pwd`;
      const run = start(["--agents", "6", "--retries", "1", "--", "sh", "-c", script], { cwd: directory });
      await until("three are recorded", () => recordedIn(journalsOf(swarm)[0]).length === 3);
      run.kill("SIGKILL");
      await killAll(swarm);
      await run.outcome;
      writeFileSync(`${directory}/go`, "");
      const { code, stdout } = await resume(undefined, { env: { CFN_MAX_AGENTS: "1" } }).outcome;
      expect({ code, stdout }).toEqual({ code: 0, stdout: `${directory}\n`.repeat(3) });
      // No two executions of a task have the same number, whoever was at it: the second attempt was the highest so far.
      expect(readFileSync(`${directory}/numbers`, "utf8").trim().split("\n").slice(-3)).toEqual(["3", "3", "3"]);
      expect(sorted(numbersIn(`${directory}/ran`))).toEqual([1, 2, 3, 4, 5, 6]);
      expect(report().tasks).toMatchObject({ total: 6, completed: 6, retried: 1 });
      expect(report().agents.workers).toBe(6);
    }));

  test("one that Ctrl-C had ended, cancelled tasks included", () =>
    withSwarm(async (swarm) => {
      const { directory, start, resume, report } = swarm;
      writeFileSync(`${directory}/list`, list);
      const run = start(["--tasks", "list", "--agents", "4", "--joblog", "log", "--", ...agent], { cwd: directory });
      await reached(`${directory}/ran`, 12);
      run.kill("SIGINT");
      expect((await run.outcome).code).toBe(130);
      const recorded = recordedIn(journalsOf(swarm)[0]);
      expect(sorted(loggedIn(`${directory}/log`))).toEqual(sorted(recorded));
      expect((await resume().outcome).code).toBe(1);
      expect(sorted(loggedIn(`${directory}/log`))).toEqual(all);
      for (const seq of recorded) expect(times(numbersIn(`${directory}/ran`), seq)).toBe(1);
      expect(report().tasks).toMatchObject({ total: COUNT, cancelled: 0 });
    }));

  for (const topology of ["flat", "hybrid"] as const) {
    test(`${topology}: one whose resumption SIGTERM ended, at whatever step, again and again`, () =>
      withSwarm(async (swarm) => {
        const { directory, base, start, resume, report } = swarm;
        const ran = `${directory}/ran`;
        const counts = (): number => numbersIn(ran).length;
        const recorded = (): number[] => recordedIn(journalsOf(swarm)[0]);
        const nothingIsLeft = (): boolean =>
          swarm.processes().length === 0 && (!existsSync(base) || readdirSync(base).length === 0);
        writeFileSync(`${directory}/list`, list);
        const options = ["--tasks", "list", "--agents", "4", "--joblog", "log"];
        const killed = start([...shapes[topology], ...options, "--", ...agent], { cwd: directory });
        await until("some are recorded", () => recorded().length >= 8);
        killed.kill("SIGKILL");
        await killed.outcome;
        await until("nothing of it is left", nothingIsLeft);

        const steps: Readonly<Record<string, (before: number) => boolean>> = {
          "right after its start": () => true,
          "when it is a process": () => swarm.processes().length > 0,
          "when its bus is there": () => existsSync(base) && readdirSync(base).length > 0,
          "when its guardian is there": () => swarm.processes().length > 1,
          "when a resumed task has run": (before) => counts() > before,
        };
        for (const [step, isThere] of Object.entries(steps)) {
          const before = counts();
          const run = resume();
          // No pause between the looks: some of these steps take less than a millisecond.
          for (const end = Date.now() + 10_000; !isThere(before) && Date.now() < end; );
          run.kill("SIGTERM");
          const { code, signal, stderr, timedOut } = await run.outcome;
          expect({ step, timedOut }, stderr).toEqual({ step, timedOut: false });
          // Before its first line ran it dies of the signal; nothing has begun then.
          expect(signal ?? code, `${step}: ${stderr}`).toBe(signal === null ? 143 : "SIGTERM");
          expect({ step, left: nothingIsLeft() }).toEqual({ step, left: true });
          if (step === "when a resumed task has run") {
            expect(report()).toMatchObject({ status: "interrupted" });
            expect(code).toBe(143);
          }
        }
        expect(recorded().length).toBeLessThan(COUNT);
        const done = recorded();
        const { code, stderr } = await resume().outcome;
        expect(code, stderr).toBe(1);
        expect(sorted(recorded())).toEqual(all);
        expect(sorted(loggedIn(`${directory}/log`))).toEqual(all);
        for (const seq of done) expect(times(recorded(), seq)).toBe(1);
        expect(report().tasks).toMatchObject({ total: COUNT, completed: COUNT - COUNT / 10, cancelled: 0 });
      }));
  }

  test("one whose list was still coming, with what had been read of it", () =>
    withSwarm(async (swarm) => {
      const { directory, shell, resume, report } = swarm;
      const script = `"$0" run --tasks - --report ${directory}/report.json -- sh -c 'echo $0 >> ran; sleep 0.0$0' <&3 & wait $!`;
      const feed = `mkfifo ${directory}/f; cd ${directory}; exec 3<>f; printf '1\\n2\\n\\n3\\n4' >&3; ${script}`;
      const run = shell(feed);
      await reached(`${directory}/ran`, 3);
      await until("they are recorded", () => recordedIn(journalsOf(swarm)[0]).length === 3);
      await killAll(swarm);
      await run;
      const { code, stderr } = await resume().outcome;
      expect(code).toBe(0);
      expect(stderr).toContain("had not been read to its end: 3 tasks had been read, the rest was never accepted");
      expect(stderr).toContain("nothing was left to do: all 3 tasks have their result");
      expect(report().tasks).toMatchObject({ total: 3, completed: 3 });
    }));
});

test(
  "killed at any moments, again and again, a run comes to the end of an undisturbed one",
  () =>
    withSwarm(async (swarm) => {
      const random = seeded("resume: killed at any moments");
      const { directory, start, resume, report } = swarm;
      writeFileSync(`${directory}/list`, list);
      const args = ["--tasks", "list", "--agents", "8", "--joblog", "log", "--results", "results"];
      const begin = (): RunningCommand => start([...args, "--", ...agent], { cwd: directory });
      let run = begin();
      let ended: CommandOutcome | undefined;
      for (let kills = 0; kills < 12; kills++) {
        await Bun.sleep(10 + random.below(kills % 2 === 0 ? 60 : 250));
        run.kill("SIGKILL");
        await killAll(swarm);
        ended = await run.outcome;
        if (ended.signal === null) break;
        // Killed before it had a journal, it is begun again.
        run = journalsOf(swarm).length === 0 ? begin() : resume();
        ended = undefined;
      }
      ended ??= await run.outcome;
      expect(ended.code, ended.stderr).toBe(1);
      expect(sorted([...new Set(numbersIn(`${directory}/ran`))])).toEqual(all);
      expect(sorted(loggedIn(`${directory}/log`))).toEqual(all);
      expect(Object.keys(resultsIn(`${directory}/results`))).toHaveLength(COUNT);
      expect(report().tasks).toMatchObject({ total: COUNT, completed: COUNT - COUNT / 10, failed: COUNT / 10 });
    }),
  60_000,
);

test("a task whose output nobody has taken yet is not recorded: it runs again, and its output is not lost", () =>
  withSwarm(async (swarm) => {
    const { directory, shell, resume } = swarm;
    const agent = "head -c 100000 /dev/zero; echo $0 >> ran";
    const run = shell(
      `cd ${directory}; mkfifo f; exec 3<>f; seq 3 > list; "$0" run --tasks list --joblog log -- sh -c '${agent}' >&3`,
    );
    await reached(`${directory}/ran`, 3);
    await until("a little of it is in the pipe", () => existsSync(`${directory}/log`));
    expect(recordedIn(journalsOf(swarm)[0])).toEqual([]);
    await killAll(swarm);
    await run;
    expect(recordedIn(journalsOf(swarm)[0])).toEqual([]);
    expect(loggedIn(`${directory}/log`)).toEqual([]);
    const { code, stdout } = await resume().outcome;
    expect([code, stdout.length]).toEqual([0, 300_000]);
    expect(sorted(numbersIn(`${directory}/ran`))).toEqual([1, 1, 2, 2, 3, 3]);
  }));

describe("--resume", () => {
  /** A run of six tasks of which three are recorded, and then everything is killed. */
  async function killed(swarm: Swarm, args: readonly string[] = ["--tasks", "list"]): Promise<string> {
    const { directory, start } = swarm;
    writeFileSync(`${directory}/list`, "1\n2\n3\n4\n5\n6\n");
    const script = '[ $0 -le 3 ] || until [ -e go ]; do sleep 0.02; done; echo "$0" >> ran';
    const run = start([...args, "--agents", "6", "--", "sh", "-c", script], { cwd: directory });
    const isLogged = (): boolean => !args.includes("--joblog") || loggedIn(`${directory}/log`).length === 3;
    await until("three are recorded", () => recordedIn(journalsOf(swarm)[0]).length === 3 && isLogged());
    run.kill("SIGKILL");
    await killAll(swarm);
    await run.outcome;
    return journalsOf(swarm)[0] as string;
  }
  const idOf = (folder: string): string => folder.slice(folder.lastIndexOf("-") + 1);

  test(
    "waits for whoever still ends what the killed run has left, and gives up with 75",
    () =>
      withSwarm(async (swarm) => {
        const folder = await killed(swarm);
        writeFileSync(`${swarm.directory}/go`, "");
        const fd = openFile(`${folder}/owner`, O.RDWR);
        await until("it is free", () => tryLockFile(fd));
        const { code, stderr } = await swarm.resume().outcome;
        expect(code).toBe(75);
        expect(stderr).toContain(`processes of the run ${idOf(folder)} are still there: its journal`);
        const patient = swarm.resume();
        await until("it is there", () => swarm.processes().length === 1);
        expect(numbersIn(`${swarm.directory}/ran`)).toHaveLength(3);
        closeFile(fd);
        expect((await patient.outcome).code).toBe(0);
        expect(sorted(numbersIn(`${swarm.directory}/ran`))).toEqual([1, 2, 3, 4, 5, 6]);
      }),
    30_000,
  );

  test("by two at once: one finishes the run, the other is told that it is alive", () =>
    withSwarm(async (swarm) => {
      const id = idOf(await killed(swarm));
      const first = swarm.resume();
      await until("it has the run", () => swarm.processes().length > 3);
      for (const run of [undefined, id]) {
        const { code, stderr } = await swarm.resume(run).outcome;
        expect({ run, code }).toEqual({ run, code: 75 });
        expect(stderr).toContain(`the run ${id} is alive: process ${first.pid} is its master`);
      }
      writeFileSync(`${swarm.directory}/go`, "");
      expect((await first.outcome).code).toBe(0);
      expect(sorted(numbersIn(`${swarm.directory}/ran`))).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  test("knows nothing of a run that could not begin", () =>
    withSwarm(async ({ run, resume, directory }) => {
      const open = `${directory}/open`;
      mkdirSync(open);
      chmodSync(open, 0o755);
      const { code, stderr } = await run(["--", "true"], { env: { CFN_MESSAGE_BASE_DIR: open } });
      expect(code, stderr).toBe(77);
      expect((await resume().outcome).code).toBe(66);
    }));

  test("of a run that ended says so, and gives its status again", () =>
    withSwarm(async (swarm) => {
      const { directory, run, resume } = swarm;
      for (const [script, status] of [
        ["true", 0],
        ["exit 3", 1],
      ] as const) {
        expect((await run(["--", "sh", "-c", script])).code).toBe(status);
        const before = readFileSync(`${directory}/report.json`, "utf8");
        const { run_id } = JSON.parse(before) as { run_id: string };
        const again = await resume(run_id).outcome;
        expect(again).toMatchObject({ code: status, stdout: "" });
        expect(again.stderr).toContain("nothing is left to do");
        expect(readFileSync(`${directory}/report.json`, "utf8")).toBe(before);
      }
      const none = await resume().outcome;
      expect(none.code).toBe(66);
      expect(none.stderr).toContain("no run to resume");
    }));

  test("of an id that is unknown names those that can be resumed, and takes the beginning of one", () =>
    withSwarm(async (swarm) => {
      const id = idOf(await killed(swarm));
      const { code, stderr } = await swarm.resume("nobody").outcome;
      expect(code).toBe(66);
      expect(stderr).toContain(`these can: ${id}`);
      writeFileSync(`${swarm.directory}/go`, "");
      expect((await swarm.resume(id.slice(0, 6)).outcome).code).toBe(0);
    }));

  test("of a run whose list has changed is refused, and works once it is put back", () =>
    withSwarm(async (swarm) => {
      await killed(swarm);
      const path = `${swarm.directory}/list`;
      const { stdout: when } = await swarm.shell(`stat -c %y ${path}`);
      writeFileSync(path, "1\n2\n3\n4\n5\n6\n7\n");
      const { code, stderr } = await swarm.resume().outcome;
      expect(code).toBe(65);
      expect(stderr).toContain(`${path} has changed: it had 12 bytes and has 14`);
      writeFileSync(path, "1\n2\n3\n4\n5\n6\n");
      expect((await swarm.resume().outcome).code).toBe(65);
      await swarm.shell(`touch -d '${when.trim()}' ${path}; : > ${swarm.directory}/go`);
      expect((await swarm.resume().outcome).code).toBe(0);
      expect(sorted(numbersIn(`${swarm.directory}/ran`))).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  test("repairs the joblog: what is missing is added, what is there stays, and another run's is refused", () =>
    withSwarm(async (swarm) => {
      const { directory, resume } = swarm;
      const log = `${directory}/log`;
      await killed(swarm, ["--tasks", "list", "--joblog", "log"]);
      const [header, ...lines] = linesOf(readFileSync(log, "utf8"));
      writeFileSync(log, `${header}\n${lines[0]?.replace(/\t1\d+\./, "\t1000000000.")}\n`);
      const { code, stderr } = await resume().outcome;
      expect(code).toBe(65);
      expect(stderr).toContain("has lines that this run has not written");
      writeFileSync(log, `${header}\n${lines[1]}\n${lines[2]?.slice(0, 9)}`);
      writeFileSync(`${directory}/go`, "");
      expect((await resume().outcome).code).toBe(0);
      expect(sorted(loggedIn(log))).toEqual([1, 2, 3, 4, 5, 6]);
      expect(linesOf(readFileSync(log, "utf8")).slice(0, 2)).toEqual([header as string, lines[1] as string]);
    }));

  test("is not possible where no directory is named for the journal, and the run says so", () =>
    withSwarm(async ({ run, resume }) => {
      const env = { XDG_STATE_HOME: undefined, HOME: undefined };
      const without = await run(["--", "echo", "ran"], { env });
      expect(without).toMatchObject({ code: 0, stdout: "ran\n" });
      expect(without.stderr).toBe(
        "cfn: warn: no journal, so --resume will not be possible for this run: neither XDG_STATE_HOME nor HOME names a directory\n",
      );
      expect((await resume(undefined, { env }).outcome).code).toBe(73);
    }));

  test("of a run whose journal is damaged says what is wrong with it", () =>
    withSwarm(async (swarm) => {
      const folder = await killed(swarm);
      const about = readFileSync(`${folder}/run.json`);
      writeFileSync(`${folder}/run.json`, about.subarray(0, 40));
      const refused = await swarm.resume().outcome;
      expect(refused.code).toBe(65);
      expect(refused.stderr).toContain(`${folder}/run.json is damaged`);
      writeFileSync(`${folder}/run.json`, about);
      writeFileSync(`${folder}/results`, readFileSync(`${folder}/results`, "utf8").replace('"seq":', '"seq":7'));
      writeFileSync(`${swarm.directory}/go`, "");
      const { code, stderr } = await swarm.resume().outcome;
      expect(code).toBe(0);
      expect(stderr).toContain("1 lines of");
      const ran = numbersIn(`${swarm.directory}/ran`);
      expect(sorted([...new Set(ran)])).toEqual([1, 2, 3, 4, 5, 6]);
      expect(ran).toHaveLength(7);
    }));

  test("beside other words is refused, and beside a joblog does what it did", () =>
    withSwarm(async ({ shell, directory }) => {
      for (const more of ["--json", "--tag --agents 3", "-- true", "--report r"]) {
        const { code, stderr } = await shell(`"$0" run --resume ${more}`);
        expect({ more, code }).toEqual({ more, code: 64 });
        expect(stderr).toContain("stands alone");
      }
      const twice = await shell(`for n in 1 2; do "$0" run --resume --joblog ${directory}/log -- echo ran; done`);
      expect(twice).toMatchObject({ code: 0, stdout: "ran\n" });
    }));
});
