/** The metrics of a run, against its report and against what its agents wrote down themselves. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { AttemptEvent, CoordinatorEndedEvent, MetricsEvent, RunEndedEvent } from "../../src/metrics/events.ts";
import type { MetricsSummary } from "../../src/metrics/summary.ts";
import { type CommandOutcome, runCfn, runCommand } from "../support/binary.ts";
import { linesOf, type Swarm, until, withSwarm } from "../support/swarm.ts";

const runsOf = ({ directory }: Swarm): string => `${directory}/state/cfn/runs`;
const folders = (swarm: Swarm): string[] => (existsSync(runsOf(swarm)) ? readdirSync(runsOf(swarm)).sort() : []);
const metricsOf = (swarm: Swarm): string => `${runsOf(swarm)}/${folders(swarm).at(-1)}/metrics`;

/** Whole lines, the header left out. */
const eventsIn = (path: string): MetricsEvent[] =>
  linesOf(readFileSync(path, "utf8"))
    .slice(1)
    .map((line) => JSON.parse(line) as MetricsEvent);

const attemptsIn = (events: readonly MetricsEvent[]): AttemptEvent[] =>
  events.filter((event): event is AttemptEvent => event.event === "attempt");

const show = ({ directory }: Swarm, ...args: string[]): Promise<CommandOutcome> =>
  runCfn(["metrics", ...args], { env: { XDG_STATE_HOME: `${directory}/state` } });

/** What each agent writes down by itself: one short line, in one write. */
const witness = (directory: string): string[] => [
  "sh",
  "-c",
  `read -r x; echo "$CFN_TASK_ID $CFN_AGENT_ID $CFN_ATTEMPT" >>'${directory}/witness'`,
];

const TEST_MS = 120_000;

describe("metrics, report and agents agree to the message", () => {
  for (const { agents, options, levels } of [
    { agents: 100, options: ["--topology", "flat"], levels: 1 },
    { agents: 100, options: ["--topology", "hybrid"], levels: 2 },
    { agents: 708, options: ["--topology", "flat"], levels: 1 },
    { agents: 708, options: ["--topology", "hybrid"], levels: 2 },
    { agents: 708, options: [], levels: undefined },
  ]) {
    test(
      `in a run of ${agents} agents ${options.at(-1) ?? "in the shape of its own choice"}`,
      () =>
        withSwarm(async (swarm) => {
          const { run, report, directory } = swarm;
          const ran = await run(["--agents", `${agents}`, ...options, "--", ...witness(directory)], {
            timeoutMs: TEST_MS,
          });
          expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: "" });
          const told = report();
          const events = eventsIn(`${metricsOf(swarm)}/master.jsonl`);
          const attempts = attemptsIn(events);
          const ended = events.at(-1) as RunEndedEvent;

          // The agents' own count.
          const seen = linesOf(readFileSync(`${directory}/witness`, "utf8")).sort();
          expect(seen).toHaveLength(agents);
          expect(attempts.map(({ task_id, agent, attempt }) => `${task_id} ${agent} ${attempt}`).sort()).toEqual(seen);

          // The report.
          const hops = levels ?? (told.topology === "flat" ? 1 : 2);
          expect(told.delivery).toMatchObject({ expected: 2 * hops * agents, delivered: 2 * hops * agents, lost: [] });
          const { tasks, coordination_time_ms, spawn_time_ms, status, topology, latency_ms, resources } = told;
          expect(ended).toMatchObject({ event: "run_ended", status, topology, tasks });
          expect(ended).toMatchObject({ coordination_time_ms, spawn_time_ms, latency_ms, resources });
          for (const [mine, its] of [
            [ended.delivery, told.delivery],
            [ended.levels.mesh, told.levels.mesh],
            [ended.levels.hierarchical, told.levels.hierarchical],
          ] as const)
            expect(mine).toEqual({ ...its, lost: its.lost.length });

          // The coordinators, who count for themselves.
          const others = readdirSync(metricsOf(swarm)).filter((name) => name !== "master.jsonl");
          expect(others).toHaveLength(told.topology === "flat" ? 0 : told.agents.coordinators);
          const counted = others.map((name) => eventsIn(`${metricsOf(swarm)}/${name}`).at(-1) as CoordinatorEndedEvent);
          const delivered = counted.reduce((sum, { hierarchical }) => sum + hierarchical.delivered, 0);
          if (told.topology === "hybrid") expect(delivered).toBe(told.levels.hierarchical.delivered);

          // The analysis.
          const shown = JSON.parse((await show(swarm, "--json")).stdout) as MetricsSummary;
          expect(shown).toMatchObject({
            run_id: told.run_id,
            state: status,
            attempts: agents,
            tasks,
            delivery: ended.delivery,
          });
          expect(shown.faults).toEqual({ broken: 0, places: [], torn: 0, missing: 0, rotated_away: 0 });
          expect(shown.histograms).toEqual(ended.histograms);
          const near = (one: number, other: number): void =>
            expect(Math.abs(one - other)).toBeLessThanOrEqual(0.011 * other + 0.002);
          for (const share of ["p50", "p95", "p99", "max"] as const) {
            near(shown.phases.queue_ms[share], latency_ms.task[share]);
            near(shown.phases.result_ms[share], latency_ms.result[share]);
          }
          expect(shown.phases.run_ms.count).toBe(agents);

          // What they cost themselves.
          const costs = [ended, ...counted].map(({ process }) => process.metrics_ms as number);
          expect(Math.min(...costs)).toBeGreaterThan(0);
          expect(shown.resources.metrics_ms).toBeCloseTo(costs.reduce((sum, ms) => sum + ms));
          expect(shown.resources.metrics_ms).toBeLessThan(shown.resources.cpu_ms);
        }),
      TEST_MS,
    );
  }
});

describe("cfn metrics", () => {
  test("shows the newest run, one by the beginning of its id, and a file", () =>
    withSwarm(async (swarm) => {
      await swarm.run(["--agents", "3", "--", "true"]);
      const first = swarm.report().run_id;
      await swarm.run(["--agents", "4", "--", "sh", "-c", "exit 3"]);
      const second = swarm.report().run_id;
      const { code, stdout, stderr } = await show(swarm);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(new RegExp(`^run ${second} . flat . 4 agents . failed . 20`));
      expect(stdout).toContain("0 of 4 tasks completed, 4 failed");
      expect(stdout).toContain("delivered 8 of 8 messages (100 %)");
      expect(stdout).toMatch(/^LAST 2 RUNS/m);
      expect(stdout.indexOf(`\n${first} `)).toBeLessThan(stdout.indexOf(`\n${second} *`));
      expect((await show(swarm, first.slice(0, 8), "--last", "0")).stdout).toStartWith(`run ${first} `);
      expect((await show(swarm, `${metricsOf(swarm)}/master.jsonl`)).stdout).toMatch(
        /^run [a-z0-9]+ . flat . [34] agents/,
      );
    }));

  test("is accepted by promtool, as Prometheus text", () =>
    withSwarm(async (swarm) => {
      await swarm.run(["--agents", "4", "--coordinators", "2", "--", "true"]);
      const { stdout } = await show(swarm, "--prometheus");
      expect(stdout).toContain("cfn_messages_delivered_total{run_id=");
      const checked = await runCommand(["promtool", "check", "metrics"], { stdin: stdout });
      expect(checked).toMatchObject({ code: 0, stdout: "", stderr: "" });
    }));

  test("refuses what is no run, no metrics file, or of another schema, each with its status", () =>
    withSwarm(async (swarm) => {
      const { directory } = swarm;
      expect(await show(swarm)).toMatchObject({ code: 66, stderr: expect.stringContaining("no metrics of any run") });
      await swarm.run(["--agents", "1", "--", "true"]);
      expect(await show(swarm, "zzz")).toMatchObject({ code: 66, stderr: expect.stringContaining('no run "zzz"') });
      expect(await show(swarm, "./none.jsonl")).toMatchObject({ code: 66 });
      writeFileSync(`${directory}/other.jsonl`, '{"schema":"cfn.metrics/9","run_id":"x","writer":"master","next":1}\n');
      expect(await show(swarm, `${directory}/other.jsonl`)).toMatchObject({
        code: 65,
        stderr: expect.stringContaining('has the schema "cfn.metrics/9", and this cfn reads cfn.metrics/1'),
      });
      writeFileSync(`${directory}/other.jsonl`, "hello\n");
      expect(await show(swarm, `${directory}/other.jsonl`)).toMatchObject({ code: 65 });
      writeFileSync(`${directory}/other.jsonl`, "");
      expect(await show(swarm, `${directory}/other.jsonl`)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("no attempt has ended"),
      });
      expect(await show(swarm, "--json", "--prometheus")).toMatchObject({ code: 64, stdout: "" });
    }));
});

describe("the metrics of a run", () => {
  test("are not written at all where they are disabled", () =>
    withSwarm(async (swarm) => {
      for (const topology of ["flat", "hybrid"])
        await swarm.run(["--agents", "2", "--topology", topology, "--", "true"], {
          env: { CFN_METRICS_ENABLED: "false" },
        });
      expect(folders(swarm)).toHaveLength(2);
      for (const folder of folders(swarm)) expect(existsSync(`${runsOf(swarm)}/${folder}/metrics`)).toBe(false);
    }));

  for (const topology of ["flat", "hybrid"]) {
    test(`are whole lines after a SIGKILL, ${topology}, and go on in number when the run is resumed`, () =>
      withSwarm(async (swarm) => {
        const { directory } = swarm;
        writeFileSync(`${directory}/tasks`, Array.from({ length: 400 }, (_, n) => `${n}\n`).join(""));
        const words = ["--tasks", `${directory}/tasks`, "--agents", "8", "--topology", topology];
        const started = swarm.start([...words, "--", "sh", "-c", "sleep 0.02"]);
        const path = (): string => `${metricsOf(swarm)}/master.jsonl`;
        await until("some attempts are on disk", () => {
          return folders(swarm).length > 0 && existsSync(path()) && attemptsIn(eventsIn(path())).length > 40;
        });
        started.kill("SIGKILL");
        await started.outcome;
        const text = readFileSync(path(), "utf8");
        expect(text).toEndWith("}\n");
        const before = eventsIn(path());
        expect(before.map(({ n }) => n)).toEqual(before.map((_, index) => index + 1));
        const killed = JSON.parse((await show(swarm, "--json")).stdout) as MetricsSummary;
        expect(["killed", "alive"]).toContain(killed.state);

        const { code } = await swarm.resume().outcome;
        expect(code).toBe(0);
        const after = eventsIn(path());
        expect(readFileSync(path(), "utf8")).toStartWith(text);
        expect(after.map(({ n }) => n)).toEqual(after.map((_, index) => index + 1));
        const shown = JSON.parse((await show(swarm, "--json")).stdout) as MetricsSummary;
        expect(shown).toMatchObject({ state: "completed", executions: 2, tasks: { total: 400, completed: 400 } });
        expect(shown.faults).toMatchObject({ broken: 0, torn: 0, missing: 0 });
        expect(shown.attempts).toBe(attemptsIn(after).length);
        expect(new Set(attemptsIn(after).map(({ task_id }) => task_id)).size).toBeGreaterThan(350);
      }));
  }

  test("tell of a coordinator that died, and of the attempts that others made", () =>
    withSwarm(async (swarm) => {
      const started = swarm.start(["--agents", "6", "--coordinators", "2", "--", "sh", "-c", "kill -0 $PPID; sleep 1"]);
      const path = (): string => `${metricsOf(swarm)}/master.jsonl`;
      await until("both coordinators are there", () => {
        return (
          folders(swarm).length > 0 &&
          existsSync(path()) &&
          eventsIn(path()).filter(({ event }) => event === "coordinator_ready").length === 2
        );
      });
      const coordinator = swarm.processes().find((pid) => {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("\0coordinator\0c1\0");
      }) as number;
      process.kill(coordinator, "SIGKILL");
      expect((await started.outcome).code).toBe(0);
      const events = eventsIn(path());
      expect(events.filter(({ event }) => event === "failover")).toMatchObject([
        { coordinator: "c1", cause: "killed" },
      ]);
      expect(events.at(-1)).toMatchObject({ event: "run_ended", failovers: 1, tasks: { total: 6, completed: 6 } });
      expect((await show(swarm)).stdout).toContain("1 coordinator died");
    }));
});
