/** `cfn chaos` with the shipped binary: what it says, that it leaves nothing, that it can be interrupted. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ChaosOutcome } from "../../src/chaos/outcome.ts";
import { planStrikes, type VictimKind, victimKinds } from "../../src/chaos/plan.ts";
import type { CommandOptions, CommandOutcome } from "../support/binary.ts";
import { runCfn, startCfn } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";
import { signalled } from "../support/killing.ts";
import { seeded } from "../support/seed.ts";
import { until, withSwarm } from "../support/swarm.ts";

interface Arena {
  readonly directory: string;
  readonly processes: () => number[];
  readonly env: Record<string, string>;
}

/** Bus base, TMPDIR and mark of a swarm's test: at its end nothing may be left in any of them. */
const withArena = (use: (arena: Arena) => Promise<void>): Promise<void> =>
  withSwarm((swarm) =>
    withBusBase(async (base) => {
      await use({ ...swarm, env: { CFN_MESSAGE_BASE_DIR: base, TMPDIR: swarm.directory } });
      expect(readdirSync(swarm.directory).filter((name) => name.startsWith("cfn-chaos"))).toEqual([]);
    }),
  );

const chaos = (arena: Arena, args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> =>
  runCfn(["chaos", ...args], { timeoutMs: 100_000, ...options, env: { ...arena.env, ...options.env } });

const TEST_MS = 120_000;

async function expectClean(kinds: readonly VictimKind[]): Promise<void> {
  const { seed } = seeded(`chaos ${kinds.join(",")}`);
  await withArena(async (arena) => {
    const shape = ["--agents", "10", "--duration", "3s", "--seed", String(seed)];
    const { code, stdout, stderr } = await chaos(arena, [...shape, "--kill", kinds.join(","), "--json"]);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    const found = JSON.parse(stdout) as ChaosOutcome;
    expect(found).toMatchObject({
      schema: "cfn.chaos/1",
      seed,
      agents: 10,
      duration_ms: 3000,
      kill: kinds,
      clean: true,
    });
    expect(found.messages).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, torn: 0, forged: 0, examples: [] });
    expect(found.messages.received).toBeGreaterThanOrEqual(found.messages.accepted);
    expect(found.messages.accepted).toBeGreaterThan(0);
    expect(found.results).toMatchObject({ lost: 0, duplicated: 0, failed: 0, damaged: 0, examples: [] });
    expect(found.results.recorded).toBe(found.results.expected);
    expect(found.orphans).toMatchObject({ total: 0, marked: 0 });
    expect(found.plan).toEqual(planStrikes({ seed, agents: 10, durationMs: 3000, kinds }));
    for (const kind of kinds) expect(found.strikes.done[kind].kill, kind).toBeGreaterThan(0);
  });
}

describe("cfn chaos", () => {
  test(
    "finds nothing lost, twice or orphaned when agents and senders are killed",
    () => expectClean(["agents", "senders"]),
    TEST_MS,
  );

  for (const kinds of [["coordinators"], ["master"], victimKinds] as const) {
    test(
      `finds nothing lost, twice or orphaned when ${kinds.join(", ")} are killed`,
      () => expectClean(kinds),
      TEST_MS,
    );
  }

  test(
    "measures how soon a killed coordinator's team was taken over",
    () =>
      withArena(async (arena) => {
        const args = ["--agents", "20", "--duration", "4s", "--kill", "coordinators", "--seed", "4", "--json"];
        const { code, stdout } = await chaos(arena, args);
        expect(code, stdout).toBe(0);
        const { recovery, run, strikes } = JSON.parse(stdout) as ChaosOutcome;
        expect(recovery.coordinators.count).toBeGreaterThan(0);
        expect(recovery.coordinators.count + recovery.coordinators.unmeasured).toBe(
          strikes.done.coordinators.kill ?? 0,
        );
        expect(run.failovers).toBeGreaterThan(0);
      }),
    TEST_MS,
  );

  test(
    "prints a table that says what was done, and the seed",
    () =>
      withArena(async (arena) => {
        const args = [
          "--agents",
          "4",
          "--duration",
          "1s",
          "--kill",
          "agents",
          "--seed",
          "3",
          "--keep",
          `${arena.directory}/kept`,
        ];
        const { code, stdout } = await chaos(arena, args);
        expect(code, stdout).toBe(0);
        expect(stdout).toStartWith("seed 3: 4 agents, 3 coordinators, 1s of chaos, ");
        expect(stdout).toMatch(/^ {2}messages +\d+ +\d+ +0 +0 +0 +0$/m);
        expect(stdout).toMatch(/^ {2}results +\d+ +\d+ +0 +0 +- +0$/m);
        expect(stdout).toMatch(/^ {2}agents killed +[1-9]/m);
        expect(stdout).toEndWith(`evidence: ${arena.directory}/kept\nclean: nothing lost, nothing twice, no orphan\n`);
        expect(readFileSync(`${arena.directory}/kept/joblog`, "utf8")).toStartWith("Seq\t");
        const again = await chaos(arena, args);
        expect(again).toMatchObject({ code: 73, stdout: "" });
        expect(again.stderr).toContain("it is not empty");
      }),
    TEST_MS,
  );

  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    test(
      `is ended by ${signal} with all that it started`,
      () =>
        withArena(async (arena) => {
          const env = { ...arena.env, TEST_ARENA: arena.directory };
          const kept = `${arena.directory}/kept`;
          const running = startCfn(["chaos", "--agents", "10", "--duration", "20s", "--keep", kept], { env });
          await until("agents are up", () => existsSync(`${kept}/agents`) && marked(arena.directory).length > 10);
          running.kill(signal);
          expect(await running.outcome).toMatchObject({ code: status, stdout: "", stderr: "" });
          expect(marked(arena.directory)).toEqual([]);
        }),
      TEST_MS,
    );
  }

  test(
    "killed, leaves nothing either, though it had stopped some of its processes",
    () =>
      withArena(async (arena) => {
        const env = { ...arena.env, TEST_ARENA: arena.directory };
        const running = startCfn(["chaos", "--agents", "10", "--duration", "30s", "--kill", "agents"], { env });
        const processes = (): number[] => marked(arena.directory);
        await until("agents are up", () => processes().length > 12);
        await until("one is stopped", () => {
          const last = processes().at(-1);
          return last !== undefined && signalled(last, "SIGSTOP");
        });
        running.kill("SIGKILL");
        expect((await running.outcome).signal).toBe("SIGKILL");
        await until("all have ended", () => processes().length === 0);
        await until("its files are gone", () => readdirSync(arena.directory).length === 0);
      }),
    TEST_MS,
  );

  test.each([
    [["--agents", "0"], "from 1 to 2000"],
    [["--kill", "everybody"], "some of agents,coordinators,master,senders"],
    [["--kill", ""], "some of agents,coordinators,master,senders"],
    [["--duration", "1ms"], "a duration from 1s to 10m"],
    [["--seed", "-1"], "from 0 to 4294967295"],
    [["extra"], "unexpected argument"],
  ])("refuses %j with status 64", (args, message) =>
    withArena(async (arena) => {
      const { code, stdout, stderr } = await chaos(arena, args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toContain(message);
    }),
  );
});

/** Pids of living processes with the arena's mark in their environment. */
function marked(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`TEST_ARENA=${directory}`);
      } catch {
        return false; // It has ended, or is not ours.
      }
    })
    .map(Number);
}
