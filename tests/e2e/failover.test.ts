/** The death of coordinators and of the master, on the binary, with real processes. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import { subgroup } from "../../src/os/cgroup.ts";
import { type Random, seeded } from "../support/seed.ts";
import { linesOf, type Swarm, until, withSwarm } from "../support/swarm.ts";

const read = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** Every child of a process, by its command line; those that have ended are left out. */
function childrenOf(pid: number): { pid: number; words: string[] }[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(" "))
    .filter((child) => child !== "")
    .map((child) => ({ pid: Number(child), words: read(`/proc/${child}/cmdline`).split("\0") }));
}

/** Coordinator id → pid. */
const coordinatorsOf = (master: number): Map<string, number> =>
  new Map(
    childrenOf(master)
      .filter(({ words }) => words[1] === "coordinator")
      .map(({ pid, words }) => [words[2] as string, pid]),
  );

const isAlive = (pid: number): boolean => !/^$|\) [ZX] /.test(read(`/proc/${pid}/stat`));

/** Agents log "<task> <attempt> <pid>" when they start, wait for the file $GO, and print their task and attempt. */
const agent =
  'echo "$CFN_TASK_ID $CFN_ATTEMPT $$" >> "$LOG"; while [ ! -e "$GO" ]; do sleep 0.02; done; echo "$CFN_TASK_ID $CFN_ATTEMPT"';

interface Scene {
  readonly env: { readonly LOG: string; readonly GO: string };
  readonly started: () => string[][];
  readonly go: () => void;
}

function sceneIn({ directory }: Swarm): Scene {
  const env = { LOG: `${directory}/log`, GO: `${directory}/go` };
  return {
    env,
    started: () => linesOf(read(env.LOG)).map((line) => line.split(" ")),
    go: () => writeFileSync(env.GO, ""),
  };
}

describe("a coordinator that is killed", () => {
  test("has its agents run on, and each task has one result without a second attempt", () =>
    withSwarm(async (swarm) => {
      const { env, started, go } = sceneIn(swarm);
      const running = swarm.start(["--coordinators", "3", "--agents", "12", "--", "sh", "-c", agent], { env });
      await until("all agents are up", () => started().length === 12);
      const coordinators = coordinatorsOf(running.pid);
      for (const id of ["c1", "c3"]) process.kill(coordinators.get(id) as number, "SIGKILL");
      await until("their teams are taken over", () =>
        started().every(([, , pid]) => {
          const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
          return parent === String(running.pid) || parent === String(coordinators.get("c2"));
        }),
      );
      go();
      const { code, stdout, stderr } = await running.outcome;
      expect(code).toBe(0);
      expect(linesOf(stdout).sort()).toEqual(Array.from({ length: 12 }, (_, n) => `${n + 1} 1`).sort());
      expect(started()).toHaveLength(12);
      expect(stderr).toContain("coordinator c1 died (killed by signal 9): 4 of its agents run on");
      const { tasks, delivery, failovers, orphans_ended } = swarm.report();
      expect(tasks).toMatchObject({ total: 12, completed: 12, retried: 0 });
      expect(delivery).toMatchObject({ rate: 1, lost: [], duplicates: 0, withdrawn: 16 });
      expect(delivery.expected).toBe(4 * 12 - 16);
      expect(failovers.map(({ coordinator, cause, adopted }) => [coordinator, cause, adopted]).sort()).toEqual([
        ["c1", "killed", 4],
        ["c3", "killed", 4],
      ]);
      expect(orphans_ended).toBe(0);
    }));

  test("has what it had not begun done by the others, and is replaced", () =>
    withSwarm(async (swarm) => {
      const { env, started, go } = sceneIn(swarm);
      const tasks = `${swarm.directory}/tasks.txt`;
      writeFileSync(tasks, Array.from({ length: 30 }, (_, n) => `${n + 1}\n`).join(""));
      const shape = ["--coordinators", "2", "--agents", "4", "--tasks", tasks];
      const running = swarm.start([...shape, "--", "sh", "-c", agent], { env });
      await until("all agents are up", () => started().length === 4);
      const first = coordinatorsOf(running.pid).get("c1") as number;
      process.kill(first, "SIGKILL");
      await until("another takes its place", () => {
        const second = coordinatorsOf(running.pid).get("c1");
        return second !== undefined && second !== first;
      });
      go();
      const { code, stdout } = await running.outcome;
      expect(code).toBe(0);
      const results = linesOf(stdout).map((line) => Number(line.split(" ")[0]));
      expect(results.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
      expect(swarm.report().tasks).toMatchObject({ total: 30, completed: 30, retried: 0 });
      expect(swarm.report().failovers).toHaveLength(1);
      expect(swarm.report().delivery.rate).toBe(1);
    }));

  test("does not give its stopped agent's seat back to work, nor does who takes its place", () =>
    withSwarm(async (swarm) => {
      const { env, started, go } = sceneIn(swarm);
      // Each agent's first task waits for $GO, later ones for $GO.all.
      const script = `echo "$CFN_AGENT_ID" >>"$LOG"; mkdir "$LOG.$CFN_AGENT_ID" || go=.all; until [ -e "$GO$go" ]; do sleep 0.02; done`;
      const stdin = Array.from({ length: 30 }, (_, n) => `${n + 1}\n`).join("");
      const shape = ["--coordinators", "2", "--agents", "4", "--tasks", "-"];
      const running = swarm.start([...shape, "--", "sh", "-c", script], { env, stdin });
      const tasksOf = (id: string): number => started().filter(([agent]) => agent === id).length;
      await until("all agents are up", () => started().length === 4);
      expect(await swarm.shell('exec "$0" stop --agent c1-w1')).toMatchObject({ code: 0, stderr: "" });
      process.kill(coordinatorsOf(running.pid).get("c1") as number, "SIGKILL");
      go();
      await until("another leads what is left of its team", () => tasksOf("c1-w2") === 2);
      expect((await swarm.shell('"$0" agents')).stdout).toMatch(/^c1-w1 .* STOPPED /m);
      writeFileSync(`${env.GO}.all`, "");
      expect((await running.outcome).code).toBe(1);
      expect(tasksOf("c1-w1")).toBe(1);
      expect(tasksOf("c1-w2")).toBeGreaterThan(1);
      const { tasks, failures, delivery, failovers } = swarm.report();
      expect(tasks).toMatchObject({ total: 30, completed: 29, cancelled: 1 });
      expect(failures).toMatchObject([{ agent_id: "c1-w1", reason: "cancelled", detail: "its agent was stopped" }]);
      expect(delivery).toMatchObject({ rate: 1, duplicates: 0, lost: [] });
      expect(failovers).toMatchObject([{ coordinator: "c1", cause: "killed", adopted: 1 }]);
    }));

  test("while it ends an agent has that done by who takes it over: KILL after its grace", () =>
    withSwarm(async (swarm) => {
      const { env, started } = sceneIn(swarm);
      const script = `trap 'echo term >>"$LOG.term"' TERM; echo $$ >"$LOG.$CFN_AGENT_ID"; echo "$CFN_AGENT_ID" >>"$LOG"; until [ -e "$GO" ] && [ "$CFN_AGENT_ID" != c1-w1 ]; do sleep 0.05; done`;
      const shape = ["--coordinators", "2", "--agents", "4"];
      const running = swarm.start([...shape, "--", "sh", "-c", script], { env });
      await until("all agents are up", () => started().length === 4);
      const stopping = swarm.shell('exec "$0" stop --agent c1-w1 --grace 1s');
      await until("it has been asked to end", () => existsSync(`${env.LOG}.term`));
      process.kill(coordinatorsOf(running.pid).get("c1") as number, "SIGKILL");
      expect(await stopping).toMatchObject({ code: 0, stderr: "" });
      expect(isAlive(Number(readFileSync(`${env.LOG}.c1-w1`, "utf8"))), "its process, once cfn stop has returned").toBe(
        false,
      );
      expect(isAlive(running.pid)).toBe(true);
      writeFileSync(env.GO, "");
      expect((await running.outcome).code).toBe(1);
      const { tasks, failures, failovers } = swarm.report();
      expect(tasks).toMatchObject({ total: 4, completed: 3, cancelled: 1 });
      expect(failures).toMatchObject([{ agent_id: "c1-w1", reason: "cancelled", detail: "its agent was stopped" }]);
      expect(failovers).toMatchObject([{ coordinator: "c1", cause: "killed" }]);
    }));

  test("does not free its agents of their timeout", () =>
    withSwarm(async (swarm) => {
      const { env, started } = sceneIn(swarm);
      const shape = ["--coordinators", "1", "--agents", "2", "--timeout", "3s"];
      const running = swarm.start([...shape, "--", "sh", "-c", agent], { env });
      await until("both agents are up", () => started().length === 2);
      process.kill(coordinatorsOf(running.pid).get("c1") as number, "SIGKILL");
      expect((await running.outcome).code).toBe(1);
      expect(swarm.report().tasks).toMatchObject({ total: 2, timed_out: 2 });
    }));

  test("does not keep Ctrl-C from ending its agents", () =>
    withSwarm(async (swarm) => {
      const { env, started } = sceneIn(swarm);
      const running = swarm.start(["--coordinators", "2", "--agents", "4", "--", "sh", "-c", agent], { env });
      await until("all agents are up", () => started().length === 4);
      process.kill(coordinatorsOf(running.pid).get("c1") as number, "SIGKILL");
      running.kill("SIGINT");
      expect((await running.outcome).code).toBe(130);
      expect(swarm.report().tasks).toMatchObject({ total: 4, cancelled: 4 });
    }));

  test("loses no result and doubles none, whenever it dies", async () => {
    const random = seeded("coordinators killed at random");
    for (let round = 0; round < 4; round++) await withSwarm((swarm) => killAtRandom(swarm, random));
  }, 120_000);
});

async function killAtRandom(swarm: Swarm, random: Random): Promise<void> {
  const log = `${swarm.directory}/log`;
  const tasks = Array.from({ length: 200 }, (_, n) => `${n + 1}\n`).join("");
  // What an agent leaves behind looks like an agent of its seat.
  const script = 'setsid sleep 300 >/dev/null & echo "$0" >> "$LOG"; sleep "0.$(($0 % 4))"; echo "done $0"';
  const shape = ["--coordinators", "3", "--agents", "24", "--joblog", `${swarm.directory}/jobs`, "--tasks", "-"];
  const running = swarm.start([...shape, "--", "sh", "-c", script], { env: { LOG: log }, stdin: tasks });
  for (let kills = 0; kills < 3; kills++) {
    const enough = linesOf(read(log)).length + random.below(40);
    await until("more tasks have begun", () => !isAlive(running.pid) || linesOf(read(log)).length >= enough);
    const alive = [...coordinatorsOf(running.pid).values()];
    const victim = alive[random.below(alive.length)];
    if (victim !== undefined) process.kill(victim, "SIGKILL");
  }
  const { code, stdout } = await running.outcome;
  expect(code).toBe(0);
  const every = Array.from({ length: 200 }, (_, n) => n + 1);
  const numbers = (lines: string[], at: number): number[] =>
    lines.map((line) => Number(line.split(/\s/)[at])).sort((a, b) => a - b);
  expect(numbers(linesOf(stdout), 1)).toEqual(every);
  expect(numbers(linesOf(read(`${swarm.directory}/jobs`)).slice(1), 0)).toEqual(every);
  expect(swarm.report().tasks).toMatchObject({ total: 200, completed: 200 });
  expect(swarm.report().delivery).toMatchObject({ rate: 1, lost: [] });
}

test("a coordinator that is stopped is ended after a while, and its agents run on", () =>
  withSwarm(async (swarm) => {
    const { env, started, go } = sceneIn(swarm);
    const running = swarm.start(["--coordinators", "2", "--agents", "4", "--", "sh", "-c", agent], { env });
    await until("all agents are up", () => started().length === 4);
    const stopped = coordinatorsOf(running.pid).get("c2") as number;
    process.kill(stopped, "SIGSTOP");
    await until("it is ended", () => !isAlive(stopped));
    go();
    expect((await running.outcome).code).toBe(0);
    expect(started().every(([, attempt]) => attempt === "1")).toBe(true);
    expect(swarm.report().failovers).toMatchObject([{ coordinator: "c2", cause: "hung", adopted: 2 }]);
  }));

test("a coordinator whose epoch is over ends by itself, and harms nobody", () =>
  withSwarm(async (swarm) => {
    const { env, started, go } = sceneIn(swarm);
    const running = swarm.start(["--coordinators", "2", "--agents", "4", "--", "sh", "-c", agent], { env });
    await until("all agents are up", () => started().length === 4);
    const old = coordinatorsOf(running.pid).get("c1") as number;
    const bus = openBus(/CFN_BUS_DIR=([^\0]*)/.exec(read(`/proc/${started()[0]?.[2]}/environ`))?.[1] as string);
    expect(bus.supersede("c1")).toBe(2);
    await until("it has ended", () => !isAlive(old));
    // What it would still say is refused: a task of the old epoch too.
    const task = { task_id: "stale", seq: 9, attempt: 1, run: `echo stale >> ${env.LOG}`, epoch: 1 };
    bus.send({ from: "master", to: "c2", type: "task", payload: { ...task, epoch: 7 }, chain: "control" });
    bus.close();
    go();
    const { code, stdout, stderr } = await running.outcome;
    expect(code).toBe(0);
    expect(stderr).toContain("coordinator c1 died (exit status 77): 2 of its agents run on");
    expect(linesOf(stdout).sort()).toEqual(["1 1", "2 1", "3 1", "4 1"]);
    expect(read(env.LOG)).not.toContain("stale");
    expect(swarm.report().tasks).toMatchObject({ total: 4, completed: 4, retried: 0 });
  }));

describe("a master that is killed", () => {
  /** Each agent leaves a grandchild in a session of its own; half of them ignore SIGTERM. */
  const clinging =
    'setsid sleep 300 & [ $(($$ % 2)) = 0 ] && trap "" TERM; echo up >> "$LOG"; while :; do sleep 0.1; done';

  async function killed(shape: readonly string[], also: "nobody" | "its coordinators" | "stopped coordinators") {
    await withSwarm(async ({ start, run, processes, directory }) => {
      const log = `${directory}/log`;
      const running = start([...shape, "--agents", "6", "--", "sh", "-c", clinging], { env: { LOG: log } });
      await until("all agents are up", () => linesOf(read(log)).length === 6);
      const coordinators = [...coordinatorsOf(running.pid).values()];
      if (also !== "nobody")
        for (const pid of coordinators) process.kill(pid, also === "its coordinators" ? "SIGKILL" : "SIGSTOP");
      running.kill("SIGKILL");
      await running.outcome;
      await until("nothing of it is left", () => processes().length === 0);
      expect((await run(["--", "true"])).code).toBe(0);
    });
  }

  const hybrid = ["--topology", "hybrid", "--coordinators", "2"];

  test("in a flat swarm leaves no process behind", () => killed(["--topology", "flat"], "nobody"));
  test("in a hybrid swarm leaves no process behind", () => killed(hybrid, "nobody"));
  test("together with its coordinators leaves no process behind", () => killed(hybrid, "its coordinators"));
  test("while its coordinators are stopped leaves no process behind", () => killed(hybrid, "stopped coordinators"));

  test("leaves nothing behind that hid from it, where it may make a control group; else it says so", () =>
    withSwarm(async ({ start, run, directory }) => {
      const log = `${directory}/log`;
      // Neither its environment nor its session tells where it comes from.
      const hiding = 'echo "$CFN_RUN_ID" > "$LOG.run"; env -i setsid sleep 300 & echo "$!" >> "$LOG"; sleep 300';
      const running = start(["--progress", "--agents", "2", "--", "sh", "-c", hiding], { env: { LOG: log } });
      await until("both agents are up", () => linesOf(read(log)).length === 2);
      const hidden = linesOf(read(log)).map(Number);
      running.kill("SIGKILL");
      const { stderr } = await running.outcome;
      if (subgroup("test") === undefined) {
        expect(stderr).toContain("no control group of its own");
        for (const pid of hidden) process.kill(pid, "SIGKILL");
      }
      await until("they have ended", () => !hidden.some(isAlive));
      expect((await run(["--", "true"])).code).toBe(0);
      const group = subgroup(`cfn-${read(`${log}.run`).trim()}`);
      await until("its group is gone", () => group === undefined || !existsSync(group));
    }));

  test("leaves no bus behind", () =>
    withSwarm(async ({ start, directory }) => {
      const log = `${directory}/log`;
      const command = ["sh", "-c", 'echo "$CFN_BUS_DIR" >> "$LOG"; sleep 300'];
      const running = start(["--agents", "2", "--", ...command], { env: { LOG: log } });
      await until("both agents are up", () => linesOf(read(log)).length === 2);
      const bus = linesOf(read(log))[0] as string;
      expect(existsSync(bus)).toBe(true);
      running.kill("SIGKILL");
      await running.outcome;
      await until("its bus is gone", () => !existsSync(bus));
    }));
});
