/** Ending a run early, by signals: whenever they come, it ends in order, leaves nothing, and accounts for every message. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { expectAccounted } from "../support/accounts.ts";
import { repositoryRoot } from "../support/binary.ts";
import { seeded } from "../support/seed.ts";
import { type Swarm, until, withSwarm } from "../support/swarm.ts";

const agent = (name: string): string => `${repositoryRoot}/tests/fixtures/agents/${name}.sh`;

const shapes = {
  flat: ["--topology", "flat", "--agents", "708"],
  hybrid: ["--coordinators", "7", "--agents", "708"],
} as const;

const nobodyIsLeft = (swarm: Swarm): Promise<void> =>
  until("all processes are gone", () => swarm.processes().length === 0);

describe("708 agents that talk to each other", () => {
  const random = seeded("moments of shutdown");
  for (let n = 1; n <= 20; n++) {
    const topology = n % 2 === 0 ? "hybrid" : "flat";
    const [signal, status] = random.below(2) === 0 ? (["SIGTERM", 143] as const) : (["SIGINT", 130] as const);
    const atMs = random.below(n % 4 < 2 ? 600 : 4000);
    test(
      `are ended by ${signal} after ${atMs} ms, ${topology}: nothing is left and no message is gone`,
      () =>
        withSwarm(async (swarm) => {
          const logs = `${swarm.directory}/logs`;
          mkdirSync(logs);
          const size = topology === "flat" ? "708" : "101";
          const env = { LOGS: logs };
          const running = swarm.start([...shapes[topology], "--", agent("talk"), size], { env, timeoutMs: 60_000 });
          await Bun.sleep(atMs);
          const sentAt = performance.now();
          running.kill(signal);
          const outcome = await running.outcome;
          const tookMs = Math.round(performance.now() - sentAt);
          expect(outcome.timedOut, outcome.stderr).toBe(false);
          // Before its first line ran it dies of the signal; nothing has begun then.
          if (outcome.signal !== null) return nobodyIsLeft(swarm);
          expect(outcome.code, outcome.stderr).toBe(status);
          expect(swarm.processes()).toEqual([]);
          const { messages, tasks, status: how } = swarm.report();
          process.stderr.write(
            `${topology}, ${atMs} ms: ended in ${tookMs} ms, ${JSON.stringify({ ...messages, undelivered_listed: undefined })}\n`,
          );
          expect(how).toBe("interrupted");
          expect(tasks.completed + tasks.failed + tasks.cancelled).toBe(tasks.total);
          expectAccounted(swarm, logs);
        }),
      90_000,
    );
  }
});
