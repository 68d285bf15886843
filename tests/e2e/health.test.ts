/** `cfn health` and `cfn status` beside real runs, on the binary. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { StatusReport } from "../../src/observe/reports.ts";
import { withSwarm } from "../support/swarm.ts";
import { countAsStopped, healthOf, untilAgent } from "../support/watching.ts";

const waitsFor = (file: string): string => `until test -e "${file}"; do sleep 0.05; done; echo "done by $CFN_AGENT_ID"`;
const atWork = ({ doing }: { doing: string }): boolean => doing === "running";

test("the seat of an agent that was killed is well again when it works again", () =>
  withSwarm(async (swarm) => {
    const go = `${swarm.directory}/go`;
    const run = swarm.start(["--agents", "3", "--retries", "1", "--", "sh", "-c", waitsFor(go)]);
    const { agent } = await untilAgent(swarm, "w2", atWork);
    expect((await healthOf(swarm))?.code).toBe(0);
    process.kill(agent.pid as number, "SIGKILL");
    // The others are busy: its own seat is the first that is free.
    expect((await untilAgent(swarm, "w2", ({ attempt }) => attempt === 2)).agent.health).toBe("healthy");
    writeFileSync(go, "");
    expect((await run.outcome).code).toBe(0);
  }));

test("a killed agent stays dead where nothing follows, and the whole is then not well", () =>
  withSwarm(async (swarm) => {
    const go = `${swarm.directory}/go`;
    const run = swarm.start(["--agents", "2", "--", "sh", "-c", waitsFor(go)]);
    const { agent } = await untilAgent(swarm, "w1", atWork);
    await untilAgent(swarm, "w2", atWork);
    process.kill(agent.pid as number, "SIGKILL");
    const seen = await untilAgent(swarm, "w1", ({ health }) => health === "dead");
    expect(seen).toMatchObject({ code: 1, agent: { reason: "killed by signal 9" } });
    expect(await healthOf(swarm)).toMatchObject({ code: 1, report: { health: "dead" } });
    expect((await healthOf(swarm, "w2"))?.code).toBe(0);
    writeFileSync(go, "");
    const { code, stdout } = await run.outcome;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "done by w2\n" });
  }));

test.each([[], ["--topology", "hybrid", "--coordinators", "2"]])(
  "a stopped agent is degraded, then unhealthy, well again when it goes on, and its task is not lost %p %p",
  (...options) =>
    withSwarm(async (swarm) => {
      const go = `${swarm.directory}/go`;
      const id = options.length === 0 ? "w1" : "c1-w1";
      const run = swarm.start(["--agents", "2", ...options, "--", "sh", "-c", waitsFor(go)]);
      const { agent } = await untilAgent(swarm, id, atWork);
      const bus = (await swarm.shell(`exec "$0" status --json`)).stdout;
      countAsStopped((JSON.parse(bus) as StatusReport).bus, 1500);
      process.kill(agent.pid as number, "SIGSTOP");
      expect((await untilAgent(swarm, id, ({ health }) => health !== "healthy")).agent.health).toBe("degraded");
      const stopped = await untilAgent(swarm, id, ({ health }) => health === "unhealthy");
      expect(stopped.code).toBe(1);
      expect(stopped.agent.reason).toStartWith("stopped for ");
      process.kill(agent.pid as number, "SIGCONT");
      expect((await untilAgent(swarm, id, ({ health }) => health === "healthy")).code).toBe(0);
      writeFileSync(go, "");
      const { code, stdout } = await run.outcome;
      expect(code).toBe(0);
      expect(stdout.split("\n").sort()).toContain(`done by ${id}`);
    }),
);

test("agents that a dead coordinator has left are seen until their end, and so is what becomes of them", () =>
  withSwarm(async (swarm) => {
    const go = `${swarm.directory}/go`;
    const options = ["--agents", "4", "--topology", "hybrid", "--coordinators", "2"];
    const run = swarm.start([...options, "--", "sh", "-c", waitsFor(go)]);
    const { agent } = await untilAgent(swarm, "c1-w2", atWork);
    const { agent: other } = await untilAgent(swarm, "c1-w1", atWork);
    const host = (await healthOf(swarm, "c1"))?.report.hosts[0];
    expect(host).toMatchObject({ role: "coordinator", health: "healthy" });
    process.kill(host?.pid as number, "SIGKILL");
    // Another takes its place, which knows nothing of these agents.
    for (let c1 = host; c1?.pid === host?.pid || c1?.health !== "healthy"; ) {
      c1 = (await healthOf(swarm, "c1"))?.report.hosts[0];
      if (c1?.pid === host?.pid) expect(c1?.health).toBe("dead");
    }
    expect((await untilAgent(swarm, "c1-w2", () => true)).agent).toMatchObject({ doing: "running", pid: agent.pid });
    process.kill(other.pid as number, "SIGKILL");
    await untilAgent(swarm, "c1-w1", ({ health }) => health === "dead");
    expect((await untilAgent(swarm, "c1-w2", () => true)).agent).toMatchObject({ health: "healthy", pid: agent.pid });
    writeFileSync(go, "");
    expect((await run.outcome).code).toBe(1);
  }));

test("an agent that somebody else started is judged too, by its name alone", () =>
  withSwarm(async (swarm) => {
    const { stdout, code } = await swarm.shell(
      `exec "$0" agent ana -- sh -c '"$1" health ana --json; echo $?; "$1" health nobody; echo $?; "$1" status' sh "$0"`,
    );
    expect(stdout).toContain('"id":"ana","team":null,"health":"healthy","reason":"at work"');
    expect(stdout.split("\n")).toContain("66");
    expect(stdout).toContain("of no run");
    expect(code).toBe(0);
  }));

test("without a bus there is nobody to be well: 69; an unknown run is 66", () =>
  withSwarm(async (swarm) => {
    expect((await swarm.shell(`exec "$0" health`)).code).toBe(69);
    expect((await swarm.shell(`exec "$0" status`)).code).toBe(69);
    expect((await swarm.shell(`exec "$0" status zzz`)).code).toBe(66);
    expect((await swarm.shell(`exec "$0" health --run zzz`)).code).toBe(66);
  }));

test("status says how far a run is, and which one where there are several", () =>
  withSwarm(async (swarm) => {
    const go = `${swarm.directory}/go`;
    const tasks = { stdin: "1\n2\n3\n4\n" };
    const command = ["sh", "-c", `test "$1" -lt 3 || until test -e ${go}; do sleep 0.05; done`, "sh", "{}"];
    const first = swarm.start(["--tasks", "-", "--agents", "2", "--", ...command], tasks);
    const statusOf = async (run = ""): Promise<StatusReport | undefined> => {
      const { stdout } = await swarm.shell(`exec "$0" status --json ${run}`);
      return stdout === "" ? undefined : (JSON.parse(stdout) as StatusReport);
    };
    let status = await statusOf();
    while (status?.tasks?.done !== 2 || status.workers.running !== 2) status = await statusOf();
    expect(status).toMatchObject({ phase: "running", topology: "flat", coordinators: { total: 1, ready: 1 } });
    expect(status.tasks).toMatchObject({ completed: 2, active: 2 });
    expect(status.delivery).toMatchObject({ expected: 8, duplicates: 0 });
    const second = swarm.start(["--", "sh", "-c", waitsFor(go)]);
    let both = await swarm.shell(`exec "$0" status`);
    while (both.code !== 64) both = await swarm.shell(`exec "$0" status`);
    expect(both.stderr).toContain("2 buses are alive");
    expect((await statusOf(status.run_id?.slice(0, 8)))?.run_id).toBe(status.run_id);
    writeFileSync(go, "");
    expect((await first.outcome).code).toBe(0);
    expect((await second.outcome).code).toBe(0);
  }));
