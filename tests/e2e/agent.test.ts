import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type CommandOptions, repositoryRoot, runCfn, startCfn } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";

const fixture = (name: string): string => resolve(repositoryRoot, "tests/fixtures/agents", name);

/** Runs `cfn agent` on a default bus of its own, which must be gone afterwards. */
const agent = (args: readonly string[], options: CommandOptions = {}) =>
  withBusBase((base) =>
    runCfn(["agent", ...args], { ...options, env: { CFN_MESSAGE_BASE_DIR: base, ...options.env } }),
  );

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5);
}

describe("cfn agent", () => {
  test("runs the command with our stdin and stdout, the environment of an agent and its exit status", async () => {
    const script =
      'cat; echo "$CFN_AGENT_ID $CFN_TASK_ID"; cat "$CFN_BUS_DIR/agents/ana/state"; cfn agents | tail -1; exit 3';
    const { code, stdout, stderr } = await agent(["ana", "--", "sh", "-c", script], { stdin: "hello\n" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^hello\nana ana\nWORKING\nana +worker +- +WORKING/);
    expect(code).toBe(3);
  });

  test("exits with 128 and the signal that ended the command, 127 and 126 where it cannot be started", async () => {
    expect((await agent(["a", "--", fixture("crash-after.sh"), "0"])).code).toBe(139);
    expect(await agent(["a", "--", "no-such-program"])).toMatchObject({
      code: 127,
      stderr: expect.stringContaining("command not found: no-such-program"),
    });
    expect((await agent(["a", "--", "/etc/passwd"])).code).toBe(126);
  });

  test("ends the command at its timeout with 124, one that ignores SIGTERM too", async () => {
    expect((await agent(["a", "--timeout", "100ms", "--", fixture("hang.sh")])).code).toBe(124);
    expect((await agent(["a", "--timeout", "300ms", "--", fixture("ignore-sigterm.sh")])).code).toBe(124);
  });

  test("leaves no descendant, in whatever session", async () => {
    for (const name of ["leave-grandchild.sh", "setsid-grandchild.sh"]) {
      const { code, stdout } = await agent(["a", "--", fixture(name)]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^[0-9]+\n$/);
      expect(existsSync(`/proc/${stdout.trim()}`)).toBe(false);
    }
  });

  test("hands on SIGTERM and SIGINT, and takes over what the command makes of them", async () => {
    await withBusBase(async (base) => {
      const script =
        "trap 'echo term; exit 7' TERM; trap 'echo int; exit 8' INT; touch \"$CFN_BUS_DIR/ready\"; while :; do sleep 0.05; done";
      for (const [signal, code] of [
        ["SIGTERM", 7],
        ["SIGINT", 8],
      ] as const) {
        const running = startCfn(["agent", "a", "--", "sh", "-c", script], { env: { CFN_MESSAGE_BASE_DIR: base } });
        await until(() => existsSync(`${base}/default/ready`));
        running.kill(signal);
        expect((await running.outcome).code).toBe(code);
      }
    });
  });

  test("refuses an id that a living process hosts, and names the process", async () => {
    const { code, stderr } = await agent(["a", "--", "sh", "-c", "cfn agent a -- true"]);
    expect(code).toBe(73);
    expect(stderr).toMatch(/agent a is already there, hosted by process [0-9]+/);
  });

  test("refuses a bad id, a missing command and a bad duration", async () => {
    for (const args of [
      ["../x", "--", "true"],
      ["a b", "--", "true"],
      ["x".repeat(300), "--", "true"],
      ["a"],
      ["a", "--timeout", "-1s", "--", "true"],
    ]) {
      expect(await agent(args)).toMatchObject({ code: 64, stdout: "" });
    }
  });

  test("tells its team how it ended, and keeps the bus while that is unread", async () => {
    await withBusBase(async (base) => {
      const env = { CFN_MESSAGE_BASE_DIR: base };
      const script = 'cfn agent ana --team boss -- sh -c "exit 5"; cfn recv --json';
      const { stdout, code } = await runCfn(["agent", "boss", "--", "sh", "-c", script], { env });
      expect(code).toBe(0);
      const message = JSON.parse(stdout);
      expect(message).toMatchObject({
        from: "ana",
        to: "boss",
        type: "result",
        payload: { reason: "exited", exit_code: 5 },
      });
    });
  });

  test("stands among many that come and go: all run, and the last one takes the bus away", async () => {
    await withBusBase(async (base) => {
      const env = { CFN_MESSAGE_BASE_DIR: base };
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => runCfn(["agent", `a${n}`, "--", "sleep", `0.0${n % 10}`], { env })),
      );
      expect(outcomes.filter(({ code }) => code !== 0)).toEqual([]);
    });
  });

  test("beats while it runs", async () => {
    const { stdout } = await agent(["a", "--", "sh", "-c", 'cat "$CFN_BUS_DIR/heartbeats/a"']);
    expect(stdout).toMatch(/^[0-9]{10,}\.[0-9]{3} [0-9]+ 1\n$/);
  });
});
