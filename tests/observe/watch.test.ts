/**
 * A run of 100 agents on loaded CPUs, looked at again and again while agents are stopped for less than the limit: nobody may be
 * accused who is not guilty. One check is one agent judged once: CFN_TEST_HEALTH_CHECKS of them, 100,000 for the claim.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { Observer } from "../../src/observe/observer.ts";
import type { AgentView } from "../../src/observe/runview.ts";
import { settledLook } from "../../src/observe/settled.ts";
import { seeded } from "../support/seed.ts";
import { type Swarm, until, withSwarm } from "../support/swarm.ts";
import { countAsStopped, runBusIn } from "../support/watching.ts";

const AGENTS = 100;
const LIMIT_MS = 3000;
const PATIENCE_SECONDS = 60;
const checksWanted = Number(process.env["CFN_TEST_HEALTH_CHECKS"] ?? 4000);

/** Opens the bus of the one run, when all its agents are at work. */
async function observed(swarm: Swarm, options: readonly string[], command: string) {
  const run = swarm.start([...options, "--agents", `${AGENTS}`, "--", "sh", "-c", command], { timeoutMs: 600_000 });
  await until("a bus", () => runBusIn(swarm.base) !== undefined, PATIENCE_SECONDS);
  const busDir = runBusIn(swarm.base) as string;
  const observer = new Observer(busDir);
  const atWork = (): number => (observer.look(true)?.agents ?? []).filter(({ doing }) => doing === "running").length;
  await until("all agents at work", () => atWork() === AGENTS, PATIENCE_SECONDS);
  countAsStopped(busDir, LIMIT_MS);
  return { run, observer };
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** What the master of the one run has written down so far. */
const metricsOf = ({ directory }: Swarm): string =>
  [...new Bun.Glob("state/cfn/runs/*/metrics/master.jsonl").scanSync(directory)]
    .map((name) => readFileSync(`${directory}/${name}`, "utf8"))
    .join("");

const signal = (agent: AgentView, name: NodeJS.Signals): void => void process.kill(agent.pid, name);

test.each([[["--topology", "flat"]], [["--topology", "hybrid", "--coordinators", "3"]]])(
  `nobody who is well is accused in ${checksWanted} checks, and everybody who is not is found: %p`,
  (options) =>
    withSwarm(async (swarm) => {
      const random = seeded("brief stops");
      const go = `${swarm.directory}/go`;
      // A tenth of them compute all the time.
      const command = `test $(( $(printf %s "$CFN_AGENT_ID" | tr -dc 0-9) % 10 )) = 0 && work=: || work="sleep 0.2"; until test -e ${go}; do $work; done`;
      const { run, observer } = await observed(swarm, options, command);
      const stoppedAt = new Map<string, { agent: AgentView; at: number }>();
      const accused: string[] = [];
      let seenStopped = 0;
      for (let checks = 0; checks < checksWanted; ) {
        const view = await settledLook(() => observer.look(random.next() < 0.5));
        for (const { id, health } of view?.agents ?? []) {
          checks++;
          if (health.reason === "stopped") seenStopped++;
          if (health.state === "unhealthy" || health.state === "dead") accused.push(`${id}: ${health.reason}`);
        }
        for (const [id, { agent, at }] of stoppedAt) {
          // Well below the limit, whatever happens to this process meanwhile: the signal comes when it comes.
          if (performance.now() - at < random.next() * LIMIT_MS * 0.6) continue;
          signal(agent, "SIGCONT");
          stoppedAt.delete(id);
        }
        const agent = view?.agents[random.below(AGENTS)];
        if (agent !== undefined && !stoppedAt.has(agent.id)) {
          signal(agent, "SIGSTOP");
          stoppedAt.set(agent.id, { agent, at: performance.now() });
        }
        await Bun.sleep(5);
      }
      for (const { agent } of stoppedAt.values()) signal(agent, "SIGCONT");
      expect(accused).toEqual([]);
      expect(seenStopped).toBeGreaterThan(0);
      say(`${checksWanted} checks, ${seenStopped} of agents that were stopped: nobody accused`);

      const [victims = [], others = []] = [
        observer.look(true)?.agents.slice(0, 5),
        observer.look(true)?.agents.slice(5, 10),
      ];
      for (const agent of victims) signal(agent, "SIGSTOP");
      const stopped = performance.now();
      const stateOf = (thorough: boolean): ReadonlyMap<string, string> =>
        new Map(observer.look(thorough)?.agents.map(({ id, health }) => [id, health.state]));
      const are = (some: readonly AgentView[], state: string, thorough = false): boolean => {
        const states = stateOf(thorough);
        return some.every(({ id }) => states.get(id) === state);
      };
      await until("the stopped ones are found", () => are(victims, "unhealthy"), PATIENCE_SECONDS);
      say(`stopped for good: found after ${(performance.now() - stopped).toFixed(0)} ms, limit ${LIMIT_MS} ms`);
      // The run itself sees the same, and alerts.
      const told = (): string => metricsOf(swarm);
      await until("the run's alerts", () =>
        victims.every(({ id }) => told().includes(`"agent_unhealthy","subject":"${id}"`)),
      );
      for (const agent of victims) signal(agent, "SIGCONT");
      await until("they are well again", () => are(victims, "healthy"), PATIENCE_SECONDS);
      for (const agent of others) {
        signal(agent, "SIGKILL");
        const killed = performance.now();
        await until("the killed one is found", () => are([agent], "dead", true), PATIENCE_SECONDS);
        say(`killed: found after ${(performance.now() - killed).toFixed(1)} ms`);
      }
      writeFileSync(go, "");
      const { code, stderr } = await run.outcome;
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("5 of 100 tasks") });
      observer.close();
    }),
  600_000,
);
