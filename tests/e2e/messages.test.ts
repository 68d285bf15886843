import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import type { Bus, Role } from "../../src/bus/contract.ts";
import { type CommandOptions, cfnBinary, cleanEnvironment, runCfn, runCommand, startCfn } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";

interface Shown {
  msg_id: string;
  from: string;
  to: string;
  type: string;
  sequence: number;
  timestamp: number;
  payload: unknown;
  reply_to?: string;
  attempt?: number;
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
const shown = (text: string): Shown[] => lines(text).map((line) => JSON.parse(line) as Shown);
const payloads = (text: string): unknown[] => shown(text).map(({ payload }) => payload);

/** A bus with these workers, hosted by the test, and `cfn` on it. */
function withAgents(
  ids: readonly string[],
  use: (
    cfn: (args: readonly string[], options?: CommandOptions) => ReturnType<typeof runCfn>,
    bus: Bus,
    env: Record<string, string>,
    dir: string,
  ) => Promise<void>,
  role: Role = "worker",
): Promise<void> {
  return withOpenBus(async (bus, dir) => {
    for (const id of ids) bus.register({ id, role });
    const env = { CFN_BUS_DIR: dir };
    const cfn = (args: readonly string[], options: CommandOptions = {}) =>
      runCfn(args, { ...options, env: { ...env, ...options.env } });
    await use(cfn, bus, env, dir);
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5);
}

describe("send and recv", () => {
  test("hand over a message with every field, its id printed by send", () =>
    withAgents(["alice"], async (cfn) => {
      const before = Date.now() / 1000;
      const sent = await cfn(["send", "alice", "--from", "bob", "--type", "greeting", "--payload", '{"a":[1,"ä\\n"]}']);
      expect(sent).toMatchObject({ code: 0, stderr: "" });
      const received = await cfn(["recv", "alice"]);
      expect(received).toMatchObject({ code: 0, stderr: "" });
      const [message, ...others] = shown(received.stdout);
      expect(others).toEqual([]);
      expect(message).toMatchObject({ from: "bob", to: "alice", type: "greeting", sequence: 1 });
      expect(message?.payload).toEqual({ a: [1, "ä\n"] });
      expect(`${message?.msg_id}\n`).toBe(sent.stdout);
      expect(message?.timestamp).toBeGreaterThanOrEqual(before - 0.001);
      expect((await cfn(["recv", "alice"])).stdout).toBe("");
    }));

  test("take both ids from CFN_AGENT_ID; without it the sender is anonymous", () =>
    withAgents(["alice", "bob"], async (cfn) => {
      await cfn(["send", "bob", "--text", "1"], { env: { CFN_AGENT_ID: "alice" } });
      await cfn(["send", "bob", "--text", "2"]);
      const { stdout } = await cfn(["recv", "--json"], { env: { CFN_AGENT_ID: "bob" } });
      expect(shown(stdout).map(({ from }) => from)).toEqual(["alice", "anonymous"]);
      expect((await cfn(["recv"])).code).toBe(64);
    }));

  test("carry text from stdin, JSON from stdin, and null for a type alone", () =>
    withAgents(["bob"], async (cfn) => {
      await cfn(["send", "bob", "-"], { stdin: "line 1\nline 2\n" });
      await cfn(["send", "bob", "--payload", "-"], { stdin: ' {"x": 1}\n' });
      await cfn(["send", "bob", "--type", "ping"]);
      await cfn(["send", "bob", "--text="]);
      await cfn(["send", "bob", "--text=-\n--from=x"]);
      const { stdout } = await cfn(["recv", "bob"]);
      expect(payloads(stdout)).toEqual(["line 1\nline 2\n", { x: 1 }, null, "", "-\n--from=x"]);
    }));

  test("carry a payload of exactly the limit", () =>
    withAgents(["bob"], async (cfn) => {
      const text = "x".repeat(2 ** 20 - 2);
      expect(await cfn(["send", "bob", "-"], { stdin: text })).toMatchObject({ code: 0, stderr: "" });
      expect(payloads((await cfn(["recv", "bob"])).stdout)).toEqual([text]);
    }));
});

describe("send", () => {
  test("to a group reaches its members once each, the sender not", () =>
    withOpenBus(async (bus, dir) => {
      for (const id of ["c1", "c2"]) bus.register({ id, role: "coordinator" });
      for (const id of ["w1", "w2"]) bus.register({ id, role: "worker", team: "c1" });
      bus.register({ id: "w3", role: "worker", team: "c2" });
      bus.register({ id: "g", role: "guest" });
      const sendTo = async (...to: string[]): Promise<string[]> => {
        const args = ["send", ...to, "--text", "x", "--json", "--from", "w1"];
        const { stdout } = await runCfn(args, { env: { CFN_BUS_DIR: dir } });
        return lines(stdout).map((line) => (JSON.parse(line) as { to: string }).to);
      };
      expect(await sendTo("@all")).toEqual(["c1", "c2", "w2", "w3"]);
      expect(await sendTo("@coordinators")).toEqual(["c1", "c2"]);
      expect(await sendTo("@team:c1", "w2", "@coordinators")).toEqual(["w2", "c1", "c2"]);
      expect(bus.depth("w1", "data")).toBe(0);
      expect(bus.depth("g", "data")).toBe(0);
    }));

  test("to an unknown agent sends nothing to anybody and names the near ones", () =>
    withAgents(["alice", "bob"], async (cfn, bus) => {
      const { code, stdout, stderr } = await cfn(["send", "bob", "alcie", "--text", "x"]);
      expect({ code, stdout }).toEqual({ code: 66, stdout: "" });
      expect(stderr).toContain('no such agent: "alcie"; did you mean alice?');
      expect(bus.depth("bob", "data")).toBe(0);
      expect(bus.has("alcie")).toBe(false);
    }));

  test("to a group without members, or an unknown team, is refused", () =>
    withAgents(["bob"], async (cfn) => {
      expect(await cfn(["send", "@coordinators", "--text", "x"])).toMatchObject({ code: 66, stdout: "" });
      expect(await cfn(["send", "@team:bob", "--text", "x"])).toMatchObject({ code: 66, stdout: "" });
      expect(await cfn(["send", "@all", "--text", "x", "--from", "bob"])).toMatchObject({ code: 66, stdout: "" });
    }));

  test("of a sequence number again is a duplicate, of one that skips is refused", () =>
    withAgents(["bob"], async (cfn) => {
      const send = (n: string) => cfn(["send", "bob", "--text", n, "--sequence", n, "--json"]);
      expect(JSON.parse((await send("1")).stdout)).toMatchObject({ sequence: 1, status: "accepted" });
      expect(JSON.parse((await send("1")).stdout)).toMatchObject({ sequence: 1, status: "duplicate" });
      const gap = await send("3");
      expect(gap).toMatchObject({ code: 65, stdout: "" });
      expect(gap.stderr).toContain("the next one is 2");
      expect(payloads((await cfn(["recv", "bob"])).stdout)).toEqual(["1"]);
    }));

  test("to a full inbox waits, then says 75 and who did not get it; what was accepted stands", () =>
    withAgents(["alice", "bob"], async (cfn, bus) => {
      const drafts = Array.from({ length: bus.info.inboxMessages }, () => ({
        from: "x",
        to: "bob",
        type: "fill",
        payload: null,
      }));
      bus.sendBatch(drafts);
      const { code, stdout, stderr } = await cfn([
        "send",
        "alice",
        "bob",
        "--text",
        "x",
        "--timeout",
        "50ms",
        "--json",
      ]);
      expect(code).toBe(75);
      expect(shown(stdout).map(({ to }) => to)).toEqual(["alice"]);
      expect(stderr).toContain("not accepted: 1 message to bob: inbox full");
      const waiting = startCfn(["send", "bob", "--text", "late"], { env: { CFN_BUS_DIR: bus.info.dir } });
      await cfn(["recv", "bob", "--max", "1"]);
      expect(await waiting.outcome).toMatchObject({ code: 0, stderr: "" });
      expect(bus.depth("bob", "data")).toBe(bus.info.inboxMessages);
    }));
});

describe("send --batch", () => {
  const line = (to: string, payload: unknown): string => JSON.stringify({ to, payload });

  test("sends the lines of a file or of stdin; the last needs no newline, blank ones are none", () =>
    withAgents(["alice", "bob"], async (cfn, bus) => {
      const text = `${line("bob", 1)}\n\n${line("alice", 2)}\n${line("bob", 3)}`;
      const file = `${bus.info.dir}/batch`;
      writeFileSync(file, text);
      for (const options of [{ args: file }, { args: "-", stdin: text }]) {
        const { args, ...rest } = options;
        const sent = await cfn(["send", "--batch", args, "--from", "eve", "--type", "t"], rest);
        expect(sent).toMatchObject({ code: 0, stderr: "" });
        expect(lines(sent.stdout)).toHaveLength(3);
        const received = shown((await cfn(["recv", "bob"])).stdout);
        expect(received.map(({ payload, from, type }) => [payload, from, type])).toEqual([
          [1, "eve", "t"],
          [3, "eve", "t"],
        ]);
        expect(payloads((await cfn(["recv", "alice"])).stdout)).toEqual([2]);
      }
    }));

  test("waits where the inbox is full and keeps the order", () =>
    withAgents(["bob"], async (cfn, bus) => {
      const count = 3 * bus.info.inboxMessages;
      const text = Array.from({ length: count }, (_, n) => line("bob", n)).join("\n");
      const sending = cfn(["send", "--batch", "-"], { stdin: text });
      const received: unknown[] = [];
      while (received.length < count) received.push(...payloads((await cfn(["recv", "bob", "--wait=20s"])).stdout));
      expect(received).toEqual(Array.from({ length: count }, (_, n) => n));
      const { code, stdout } = await sending;
      expect({ code, ids: new Set(lines(stdout)).size }).toEqual({ code: 0, ids: count });
    }));

  test("sends lines as they come, before its input ends", () =>
    withAgents(["bob"], async (cfn, _bus, env) => {
      const sending = Bun.spawn([cfnBinary, "send", "--batch", "-"], {
        env: cleanEnvironment(env),
        stdin: "pipe",
        stdout: "pipe",
      });
      for (const text of ["first", "second"]) {
        sending.stdin.write(`${line("bob", text)}\n`);
        await sending.stdin.flush();
        expect(payloads((await cfn(["recv", "bob", "--wait=20s"])).stdout)).toEqual([text]);
      }
      await sending.stdin.end();
      expect(await sending.exited).toBe(0);
    }));
});

describe("recv", () => {
  test("of an unknown agent is refused with the near ones, and makes no inbox", () =>
    withAgents(["alice"], async (cfn, bus) => {
      const { code, stderr } = await cfn(["recv", "alica"]);
      expect(code).toBe(66);
      expect(stderr).toContain("did you mean alice?");
      expect(bus.has("alica")).toBe(false);
    }));

  test("--peek takes nothing, --max takes so many", () =>
    withAgents(["bob"], async (cfn) => {
      for (const text of ["1", "2", "3"]) await cfn(["send", "bob", "--text", text]);
      expect(payloads((await cfn(["recv", "bob", "--peek", "--max", "2"])).stdout)).toEqual(["1", "2"]);
      expect(payloads((await cfn(["recv", "bob", "--max", "2"])).stdout)).toEqual(["1", "2"]);
      const [last] = shown((await cfn(["recv", "bob"])).stdout);
      expect([last?.payload, last?.attempt]).toEqual(["3", undefined]);
    }));

  test("--wait ends with the first message, or says 124 when its time is over", () =>
    withAgents(["bob"], async (cfn, bus, env) => {
      expect(await cfn(["recv", "bob", "--wait=20ms"])).toMatchObject({ code: 124, stdout: "" });
      expect(await cfn(["recv", "bob", "--wait=0"])).toMatchObject({ code: 124, stdout: "" });
      const waiting = startCfn(["recv", "bob", "--wait"], { env });
      await until(() => readdirSync(`${bus.info.dir}/bells`).length > 0);
      await cfn(["send", "bob", "--text", "now"]);
      const { code, stdout } = await waiting.outcome;
      expect({ code, payloads: payloads(stdout) }).toEqual({ code: 0, payloads: ["now"] });
      expect(readdirSync(`${bus.info.dir}/bells`)).toEqual([]);
    }));

  test("--follow goes on until it is interrupted, or has had --max", () =>
    withAgents(["bob"], async (cfn, bus, env) => {
      const following = startCfn(["recv", "bob", "--follow"], { env });
      for (const text of ["1", "2"]) {
        await cfn(["send", "bob", "--text", text]);
        await until(() => bus.depth("bob", "data") === 0);
      }
      following.kill("SIGINT");
      const { signal, stdout } = await following.outcome;
      expect({ signal, payloads: payloads(stdout) }).toEqual({ signal: "SIGINT", payloads: ["1", "2"] });
      const counted = startCfn(["recv", "bob", "--follow", "--max", "2"], { env });
      for (const text of ["3", "4", "5"]) await cfn(["send", "bob", "--text", text]);
      expect(payloads((await counted.outcome).stdout)).toEqual(["3", "4"]);
    }));

  test("into head takes what head printed and leaves the rest, without a gap", () =>
    withAgents(["bob"], async (_cfn, bus, env) => {
      const drafts = Array.from({ length: 24 }, (_, n) => ({ from: "x", to: "bob", type: "t", payload: n }));
      bus.sendBatch(drafts);
      const seen: unknown[] = [];
      for (let n = 1; seen.length < 24; n = (n % 4) + 1) {
        const { stdout } = await runCommand(["sh", "-c", `"$0" recv bob | head -${n}`, cfnBinary], { env });
        seen.push(...payloads(stdout));
      }
      expect(seen).toEqual(drafts.map(({ payload }) => payload));
    }));

  test("into a reader that went away ends quietly, as by SIGPIPE, with the message still there", () =>
    withAgents(["bob"], async (cfn, bus, env) => {
      await cfn(["send", "bob", "--text", "kept"]);
      const script = `{ "$0" recv bob; echo "status $?" >&2; } | true`;
      const gone = await runCommand(["sh", "-c", script, cfnBinary], { env });
      expect(gone.stderr).toBe("status 141\n");
      expect(bus.depth("bob", "data")).toBe(1);
      const idle = await runCommand(
        ["sh", "-c", `{ "$0" recv bob --follow; echo "status $?" >&2; } | head -1`, cfnBinary],
        {
          env,
        },
      );
      expect([payloads(idle.stdout), idle.stderr]).toEqual([["kept"], "status 141\n"]);
    }));

  test("into a pipe that is read only after it ended comes to its end", () =>
    withAgents(["bob"], async (_cfn, bus, env) => {
      bus.sendBatch([1, 2, 3].map((payload) => ({ from: "x", to: "bob", type: "t", payload })));
      const script = `exec 3<&0; "$0" recv bob | { while "$0" recv bob --peek | grep -q .; do :; done; cat; }`;
      const { stdout } = await runCommand(["bash", "-c", script, cfnBinary], { env });
      expect(payloads(stdout)).toEqual([1, 2, 3]);
    }));
});

describe("agents", () => {
  test("lists nobody as an empty list", () =>
    withOpenBus(async (_bus, dir) => {
      expect((await runCfn(["agents", "--json", "--bus", dir])).stdout).toBe("[]\n");
    }));

  test("lists ids, roles, teams and depths, as a table or as JSON", () =>
    withOpenBus(async (bus, dir) => {
      bus.register({ id: "c1", role: "coordinator" });
      bus.register({ id: "w1", role: "worker", team: "c1" });
      bus.send({ from: "c1", to: "w1", type: "t", payload: null });
      const { stdout } = await runCfn(["agents", "--json"], { env: { CFN_BUS_DIR: dir } });
      const common = { state: null, host_pid: process.pid, incarnation: 1 };
      expect(JSON.parse(stdout)).toEqual([
        { id: "c1", role: "coordinator", team: null, depth: { data: 0, control: 0 }, ...common },
        { id: "w1", role: "worker", team: "c1", depth: { data: 1, control: 0 }, ...common },
      ]);
      const table = lines((await runCfn(["agents"], { env: { CFN_BUS_DIR: dir } })).stdout);
      expect(table[0]).toBe(
        `ID  ROLE         TEAM  STATE  DATA  CONTROL  ${"PID".padEnd(String(process.pid).length)}  INCARNATION`,
      );
      expect(table[2]).toStartWith("w1  worker       c1    -      1     0");
    }));
});
