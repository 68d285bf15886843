import { expect, test } from "bun:test";
import { closeSync, existsSync, openSync, writeFileSync, writeSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { H } from "../../src/bus/layout.ts";
import { spendAt } from "../../src/bus/rates.ts";
import type { Draft } from "../../src/message/message.ts";
import { systemMs } from "../../src/os/clock.ts";
import { withOpenBus } from "../support/open-bus.ts";

const draft = (from: string, more: Partial<Draft> = {}): Draft => ({ from, to: "w", type: "t", payload: 1, ...more });

/** Overwrites a word of the first shard's header, which is mapped in every process that has the bus open. */
function setWord(dir: string, word: number, value: number): void {
  const fd = openSync(`${dir}/shards/00/index`, "r+");
  writeSync(fd, new Uint32Array([value]), 0, 4, word * 4);
  closeSync(fd);
}

/** How many of so many attempts are accepted, and the first refusal. */
function flood(
  bus: Bus,
  attempts: number,
  one: Draft,
): { accepted: number; refusal: ReturnType<Bus["send"]> | undefined } {
  let accepted = 0;
  let refusal: ReturnType<Bus["send"]> | undefined;
  for (let n = 0; n < attempts; n++) {
    const sent = bus.send(one);
    if (sent.status === "accepted") accepted++;
    else refusal ??= sent;
  }
  return { accepted, refusal };
}

/** Attempts at one tick, `ms` after the last ones: how many may go. */
function admitted(from: { due: number; now: number }, ms: number, perSecond: number, attempts: number): number {
  from.now = (from.now + ms * 100) >>> 0;
  for (let n = 0; n < attempts; n++) {
    const next = spendAt(from.due, from.now, perSecond);
    if ("waitTicks" in next) return n;
    from.due = next.due;
  }
  return attempts;
}

test("a sender may send a second's worth at once, and then as many a second as permitted", () => {
  for (const now of [0, 2 ** 32 - 50_000]) {
    const sender = { due: now, now };
    expect(admitted(sender, 0, 20, 100)).toBe(21);
    let total = 0;
    for (let step = 0; step < 100; step++) total += admitted(sender, 37, 20, 100);
    expect(total).toBe(Math.floor(3.7 * 20));
    expect(admitted(sender, 60_000, 20, 100)).toBe(21);
  }
});

test("the wait that is said is long enough, and no longer", () => {
  const sender = { due: 0, now: 1000 };
  admitted(sender, 0, 10, 100);
  const next = spendAt(sender.due, sender.now, 10) as { waitTicks: number };
  expect(spendAt(sender.due, sender.now + next.waitTicks - 1, 10)).toHaveProperty("waitTicks");
  expect(spendAt(sender.due, sender.now + next.waitTicks, 10)).toHaveProperty("due");
});

test("a time that the rule never writes holds nobody up", () => {
  for (const due of [500_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) expect(spendAt(due, 0, 10)).toHaveProperty("due");
});

test("each sender has a rate of its own for data, over all processes; control messages have none", () =>
  withOpenBus((bus, dir) => {
    bus.register({ id: "w", role: "worker" });
    const other = openBus(dir);
    bus.permit(10);
    const first = flood(bus, 15, draft("a"));
    expect(first.accepted).toBeGreaterThan(10);
    const { accepted, refusal } = flood(other, 15, draft("a"));
    expect(accepted).toBeLessThan(4);
    expect(refusal).toMatchObject({
      status: "full",
      what: "rate",
      limit: expect.stringContaining("10 messages a second"),
    });
    expect(refusal).toHaveProperty("retryMs");
    expect(other.send(draft("b"))).toMatchObject({ status: "accepted" });
    expect(flood(other, 40, draft("a", { chain: "control" })).accepted).toBe(40);
    expect(bus.stats().refusedRate).toBe(30 - first.accepted - accepted);
    const batch = other.sendBatch(Array.from({ length: 30 }, () => draft("c")));
    const sequences = batch.flatMap((sent) => (sent.status === "accepted" ? [sent.sequence] : []));
    expect(sequences).toEqual(sequences.map((_, n) => n + 1));
    expect(batch.slice(sequences.length).every((sent) => sent.status === "full" && sent.what === "rate")).toBe(true);
    other.close();
  }));

test("a retry of what was accepted is known as such, though its sender may send no more for now", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    bus.permit(1);
    const { accepted } = flood(bus, 20, draft("a"));
    expect(bus.send(draft("a", { sequence: 1 }))).toMatchObject({ status: "duplicate", sequence: 1 });
    expect(bus.send(draft("a", { sequence: accepted + 1 }))).toMatchObject({ status: "full", what: "rate" });
    expect(bus.stats().refusedBusFull + bus.stats().refusedInboxFull).toBe(0);
  }));

test("a limit that is taken back, has lapsed, is no possible one, or cannot be counted is none", () =>
  withOpenBus(
    (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      expect(existsSync(`${dir}/rates`)).toBe(false);
      bus.permit(1);
      expect(flood(bus, 20, draft("a")).accepted).toBeLessThan(20);
      bus.permit(0);
      expect(flood(bus, 20, draft("a")).accepted).toBe(20);
      bus.permit(1);
      setWord(dir, H.permittedAt, Math.floor(systemMs()) - 6000);
      expect(flood(bus, 20, draft("a")).accepted).toBe(20);
      bus.permit(1);
      setWord(dir, H.permittedPerSecond, 2 ** 31);
      expect(flood(bus, 20, draft("a")).accepted).toBe(20);
      writeFileSync(`${dir}/rates`, "");
      const other = openBus(dir);
      bus.permit(1);
      expect(flood(other, 20, draft("d")).accepted).toBe(20);
      other.close();
    },
    { shards: 1 },
  ));
