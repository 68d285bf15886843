import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Bus } from "../../src/bus/contract.ts";
import type { Json, Message } from "../../src/message/message.ts";
import { runCfn, startCfn } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5);
}

const guests = (bus: Bus): string[] =>
  bus
    .agents()
    .filter(({ role }) => role === "guest")
    .map(({ id }) => id);

/** A bus with alice, who asks, and bob, who is asked. */
const withPair = (use: (bus: Bus, env: Record<string, string>) => Promise<void>): Promise<void> =>
  withOpenBus(async (bus, dir) => {
    for (const id of ["alice", "bob"]) bus.register({ id, role: "worker" });
    await use(bus, { CFN_BUS_DIR: dir });
  });

async function question(bus: Bus): Promise<Message> {
  await until(() => bus.depth("bob", "data") > 0);
  const [message] = bus.peek("bob", "data", 1);
  return message as Message;
}

describe("ask", () => {
  test("prints what reply answers: text as it is, other JSON as JSON", () =>
    withPair(async (bus, env) => {
      const answers: [string[], string][] = [
        [["four\nand no more"], "four\nand no more\n"],
        [["--payload", '{"n": 4}'], '{"n":4}\n'],
        [["--payload", "null"], "null\n"],
        [["--", "-4"], "-4\n"],
      ];
      for (const [answer, printed] of answers) {
        const asking = startCfn(["ask", "bob", "2+2?"], { env: { ...env, CFN_AGENT_ID: "alice" } });
        const asked = await question(bus);
        expect(asked).toMatchObject({ type: "question", payload: { question: "2+2?", asker: "alice" } });
        expect(asked.from).toMatch(/^ask-\d+$/);
        const { stdout } = await runCfn(["recv", "bob"], { env });
        const { msg_id } = JSON.parse(stdout) as Message;
        expect(await runCfn(["reply", msg_id, ...answer], { env })).toMatchObject({ code: 0, stderr: "" });
        expect(await asking.outcome).toMatchObject({ code: 0, stdout: printed, stderr: "" });
      }
      expect(guests(bus)).toEqual([]);
      expect(readdirSync(`${bus.info.dir}/bells`)).toEqual([]);
    }));

  test("takes only the message that answers it, none of the asker's own", () =>
    withPair(async (bus, env) => {
      const own = [1, 2, 3].map((payload): Json => payload);
      bus.sendBatch(own.map((payload) => ({ from: "eve", to: "alice", type: "t", payload })));
      const asking = startCfn(["ask", "bob", "?", "--json"], { env: { ...env, CFN_AGENT_ID: "alice" } });
      const { from: guest, msg_id } = await question(bus);
      bus.send({ from: "bob", to: guest, type: "answer", payload: "to another", replyTo: "ask-1.0000000000000" });
      bus.send({ from: "bob", to: guest, type: "chatter", payload: "to none" });
      await runCfn(["reply", msg_id, "yes", "--from", "bob"], { env });
      const { stdout } = await asking.outcome;
      expect(JSON.parse(stdout)).toMatchObject({ from: "bob", payload: "yes", reply_to: msg_id, type: "answer" });
      expect(bus.peek("alice", "data", 9).map(({ payload }) => payload)).toEqual(own);
    }));

  test("says 124 without an answer and leaves; a late reply is told that nobody waits", () =>
    withPair(async (bus, env) => {
      const { code, stdout, stderr } = await runCfn(["ask", "bob", "?", "--timeout", "100ms"], { env });
      expect({ code, stdout }).toEqual({ code: 124, stdout: "" });
      expect(stderr).toContain("no answer from bob");
      expect(guests(bus)).toEqual([]);
      const { msg_id } = await question(bus);
      expect((await runCfn(["reply", msg_id, "late"], { env })).code).toBe(66);
    }));

  test("interrupted or terminated leaves nothing behind", () =>
    withPair(async (bus, env) => {
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143],
      ] as const) {
        const asking = startCfn(["ask", "bob", "?"], { env });
        await until(() => readdirSync(`${bus.info.dir}/bells`).length > 0);
        asking.kill(signal);
        expect(await asking.outcome).toMatchObject({ code, stdout: "", stderr: "" });
        expect(guests(bus)).toEqual([]);
        expect(readdirSync(`${bus.info.dir}/bells`)).toEqual([]);
      }
    }));

  test("asked by many at once gives each its own answer", () =>
    withPair(async (bus, env) => {
      const names = Array.from({ length: 12 }, (_, n) => `question ${n}`);
      const asking = names.map((name) => startCfn(["ask", "bob", name], { env }));
      await until(() => bus.depth("bob", "data") === names.length);
      for (const { msg_id, from, payload } of bus.peek("bob", "data", names.length).reverse()) {
        const { question: asked } = payload as { question: string };
        bus.send({ from: "bob", to: from, type: "answer", payload: `answer to ${asked}`, replyTo: msg_id });
      }
      const outcomes = await Promise.all(asking.map(({ outcome }) => outcome));
      expect(outcomes.map(({ stdout }) => stdout)).toEqual(names.map((name) => `answer to ${name}\n`));
      expect(guests(bus)).toEqual([]);
    }));

  test("of an unknown agent is refused before it registers", () =>
    withPair(async (bus, env) => {
      const { code, stderr } = await runCfn(["ask", "bbo", "?"], { env });
      expect(code).toBe(66);
      expect(stderr).toContain("did you mean bob?");
      expect(bus.agents()).toHaveLength(2);
    }));
});
