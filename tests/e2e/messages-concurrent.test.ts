import { expect, test } from "bun:test";
import type { Message } from "../../src/message/message.ts";
import { cfnBinary, runCfn, runCommand, startCfn } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";

const messages = (text: string): Message[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Message);

test("30 processes sending to one inbox at once lose nothing, and each one's messages stay in order", () =>
  withOpenBus(async (bus, dir) => {
    bus.register({ id: "bob", role: "worker" });
    const env = { CFN_BUS_DIR: dir };
    const each = 8;
    const script = `for n in $(seq ${each}); do "$0" send bob --payload "$n" --from "$1" || exit; done`;
    const senders = Array.from({ length: 30 }, (_, n) => `s-${n}`);
    const sending = senders.map((id) => runCommand(["sh", "-c", script, cfnBinary, id], { env, timeoutMs: 60_000 }));
    const received: Message[] = [];
    while (received.length < senders.length * each) {
      const taken = await runCfn(["recv", "bob", "--wait=30s"], { env, timeoutMs: 60_000 });
      expect(taken).toMatchObject({ code: 0, stderr: "" });
      received.push(...messages(taken.stdout));
    }
    const outcomes = await Promise.all(sending);
    const printed = outcomes.flatMap(({ stdout }) => stdout.split("\n").filter((id) => id !== ""));
    expect(new Set(received.map(({ msg_id }) => msg_id))).toEqual(new Set(printed));
    expect(received).toHaveLength(senders.length * each);
    const inOrder = Array.from({ length: each }, (_, n) => n + 1);
    for (const id of senders) {
      const own = received.filter(({ from }) => from === id);
      expect([id, own.map(({ payload }) => payload)]).toEqual([id, inOrder]);
      expect([id, own.map(({ sequence }) => sequence)]).toEqual([id, inOrder]);
    }
    expect(bus.depth("bob", "data")).toBe(0);
  }));

test("several recv on one inbox never take the same message, and miss none", () =>
  withOpenBus(async (bus, dir) => {
    bus.register({ id: "bob", role: "worker" });
    const env = { CFN_BUS_DIR: dir };
    const count = 300;
    const receivers = Array.from({ length: 4 }, () =>
      startCfn(["recv", "bob", "--follow"], { env, timeoutMs: 60_000 }),
    );
    for (let n = 0; n < count; n += 10) {
      bus.sendBatch(Array.from({ length: 10 }, (_, k) => ({ from: "x", to: "bob", type: "t", payload: n + k })));
      await Bun.sleep(1);
    }
    while (bus.depth("bob", "data") > 0) await Bun.sleep(5);
    for (const receiver of receivers) receiver.kill("SIGTERM");
    const taken = (await Promise.all(receivers.map(({ outcome }) => outcome))).map(({ stdout }) => messages(stdout));
    const payloads = taken.flat().map(({ payload }) => payload as number);
    expect(payloads.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
    for (const own of taken) {
      const order = own.map(({ payload }) => payload as number);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  }));

test("recv says 75 while another one keeps the inbox, and 124 where it was to wait", () =>
  withOpenBus(async (bus, dir) => {
    bus.register({ id: "bob", role: "worker" });
    bus.send({ from: "x", to: "bob", type: "t", payload: 1 });
    const lease = bus.lease("bob", "data");
    const env = { CFN_BUS_DIR: dir };
    const busy = await runCfn(["recv", "bob"], { env });
    expect(busy).toMatchObject({ code: 75, stdout: "" });
    expect(busy.stderr).toContain("another recv holds the inbox of bob");
    expect(await runCfn(["recv", "bob", "--wait=50ms"], { env })).toMatchObject({ code: 124, stdout: "" });
    lease?.release();
    expect(messages((await runCfn(["recv", "bob"], { env })).stdout)).toHaveLength(1);
  }));
