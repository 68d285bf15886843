import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus, Lease } from "../../src/bus/contract.ts";
import { limits } from "../../src/limits.ts";
import type { Chain, Draft } from "../../src/message/message.ts";
import { withOpenBus } from "../support/open-bus.ts";

const draft = (to: string, payload: Draft["payload"] = null, more: Partial<Draft> = {}): Draft => ({
  from: "a",
  to,
  type: "t",
  payload,
  ...more,
});

function leaseOf(bus: Bus, id: string, chain: Chain = "data"): Lease {
  const lease = bus.lease(id, chain);
  if (lease === undefined) throw new Error(`no lease on ${id}`);
  return lease;
}

test("a message comes out as it went in, numbered from 1 per sender and recipient", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w-1", role: "worker" });
    bus.register({ id: "w-2", role: "worker" });
    const payload = {
      text: 'quotes " and \\ and\nnewlines, ümläut, 日本, 🦊',
      list: [1, -2.5, null, true],
      deep: { a: {} },
    };
    expect(bus.send(draft("w-1", payload, { replyTo: "w-9.0123456789abc1", runId: "r" }))).toMatchObject({
      status: "accepted",
      sequence: 1,
    });
    expect(bus.send(draft("w-1", 2))).toMatchObject({ sequence: 2 });
    expect(bus.send(draft("w-2", 3))).toMatchObject({ sequence: 1 });
    expect(bus.send(draft("w-1", 4, { from: "b" }))).toMatchObject({ sequence: 1 });
    const [first, second, third] = bus.peek("w-1", "data", 10);
    expect(first).toMatchObject({
      from: "a",
      to: "w-1",
      type: "t",
      sequence: 1,
      payload,
      reply_to: "w-9.0123456789abc1",
      run_id: "r",
    });
    expect([second?.payload, third?.payload, third?.from]).toEqual([2, 4, "b"]);
  }));

test("an unacknowledged message is read again and says which attempt it is", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    for (const n of [1, 2, 3]) bus.send(draft("w", n));
    const lease = leaseOf(bus, "w");
    expect(lease.read(2).map((one) => one.message.attempt)).toEqual([undefined, undefined]);
    lease.ack(1);
    lease.release();
    const again = leaseOf(bus, "w").read(10);
    expect(again.map(({ message }) => [message.payload, message.attempt])).toEqual([
      [2, 2],
      [3, undefined],
    ]);
  }));

test("a retry with the same sequence number is recognised, and a gap is refused", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    bus.send(draft("w", 1, { sequence: 1 }));
    expect(bus.send(draft("w", 1, { sequence: 1 })).status).toBe("duplicate");
    expect(bus.send(draft("w", 3, { sequence: 3 }))).toEqual({ status: "gap", expected: 2 });
    leaseOf(bus, "w").ack(1);
    expect(bus.send(draft("w", 1, { sequence: 1 })).status).toBe("duplicate");
    expect(bus.depth("w", "data")).toBe(0);
  }));

test("the two chains of an inbox never take each other's messages", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    bus.send(draft("w", "d"));
    bus.send(draft("w", "c", { chain: "control" }));
    expect(
      leaseOf(bus, "w", "control")
        .read(9)
        .map((one) => one.message.payload),
    ).toEqual(["c"]);
    expect(
      leaseOf(bus, "w", "data")
        .read(9)
        .map((one) => one.message.payload),
    ).toEqual(["d"]);
  }));

test("a full inbox refuses data and still takes control messages", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    const batch = Array.from({ length: limits.inboxMessages + 5 }, (_, n) => draft("w", n));
    const outcomes = bus.sendBatch(batch);
    expect(outcomes.filter((one) => one.status === "accepted")).toHaveLength(limits.inboxMessages);
    expect(outcomes.at(-1)).toMatchObject({ status: "full", what: "inbox" });
    expect(bus.send(draft("w", 0, { chain: "control" })).status).toBe("accepted");
    leaseOf(bus, "w").ack(1);
    expect(bus.send(draft("w", "room")).status).toBe("accepted");
  }));

test("a full bus refuses data and still takes control messages, and serves again when read", () =>
  withOpenBus(
    (bus) => {
      const ids = Array.from({ length: 40 }, (_, n) => `w${n}`);
      for (const id of ids) bus.register({ id, role: "worker" });
      const body = "x".repeat(8000);
      let refused = 0;
      let accepted = 0;
      for (let n = 0; n < 4000 && refused < ids.length; n++) {
        const sent = bus.send(draft(ids[n % ids.length] as string, body));
        if (sent.status === "accepted") accepted++;
        else {
          expect(sent).toMatchObject({ status: "full", what: "bus" });
          refused++;
        }
      }
      expect(refused).toBe(ids.length);
      for (const id of ids) expect(bus.send(draft(id, "stop", { chain: "control" })).status).toBe("accepted");
      expect(bus.bytes()).toBeLessThan(bus.info.busBytes + 1024 * 1024);
      let read = 0;
      for (const id of ids) {
        const lease = leaseOf(bus, id);
        const got = lease.read(10_000).length;
        lease.ack(got);
        read += got;
      }
      expect(read).toBe(accepted);
      expect(bus.send(draft("w0", body)).status).toBe("accepted");
    },
    { busBytes: 4 * 1024 * 1024, shards: 2 },
  ));

test("large bodies are stored apart, come back whole and leave no file", () =>
  withOpenBus((bus, dir) => {
    bus.register({ id: "w", role: "worker" });
    const sizes = [limits.recordBytes - 200, limits.recordBytes, 100_000, limits.payloadBytes - 10];
    for (const size of sizes) expect(bus.send(draft("w", "é".repeat(size / 2))).status).toBe("accepted");
    expect(readdirSync(`${dir}/blobs`).length).toBeGreaterThanOrEqual(3);
    const lease = leaseOf(bus, "w");
    expect(lease.read(10).map((one) => (one.message.payload as string).length)).toEqual(sizes.map((size) => size / 2));
    lease.ack(4);
    expect(readdirSync(`${dir}/blobs`)).toEqual([]);
  }));

test("one unread message does not hold memory while others pass by", () =>
  withOpenBus(
    (bus) => {
      bus.register({ id: "idle", role: "worker" });
      bus.register({ id: "busy", role: "worker" });
      const lease = leaseOf(bus, "busy");
      const before = bus.bytes();
      for (let round = 0; round < 120; round++) {
        if (round % 10 === 0) expect(bus.send(draft("idle", round)).status).toBe("accepted");
        bus.sendBatch(Array.from({ length: 400 }, (_, n) => draft("busy", `${n}${"x".repeat(300)}`)));
        expect(lease.read(1000)).toHaveLength(400);
        lease.ack(400);
      }
      // 19 MB went by; what stays is a handful of segments.
      expect(bus.bytes() - before).toBeLessThan(10 * bus.info.segmentBytes);
      expect(
        leaseOf(bus, "idle")
          .read(100)
          .map((one) => one.message.payload),
      ).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]);
    },
    { shards: 1 },
  ));

test("an id is hosted by one process at a time and keeps its mail between hosts", () =>
  withOpenBus((bus, dir) => {
    const other = openBus(dir);
    expect(bus.register({ id: "w", role: "worker", team: "c1" })).toEqual({ status: "registered", incarnation: 1 });
    expect(other.register({ id: "w", role: "worker" })).toEqual({ status: "taken", hostPid: process.pid });
    other.send(draft("w", "mail"));
    expect(bus.unregister("w")).toBe(1);
    expect(bus.agents()).toMatchObject([{ id: "w", hostPid: 0, depth: { data: 1 } }]);
    expect(other.register({ id: "w", role: "worker" })).toEqual({ status: "registered", incarnation: 2 });
    leaseOf(other, "w").ack(1);
    expect(other.unregister("w")).toBe(0);
    expect(bus.has("w")).toBe(false);
    expect(bus.send(draft("w"))).toEqual({ status: "gone", to: "w" });
    other.close();
  }));

test("a team is registered at once: who has mail keeps it, who is hosted elsewhere or named twice is refused", () =>
  withOpenBus(
    (bus, dir) => {
      for (const id of ["away", "hosted"]) bus.register({ id, role: "worker" });
      bus.send(draft("away"));
      bus.unregister("away");
      const other = openBus(dir);
      const team = ["new", "away", "hosted", "new"].map((id) => ({ id, role: "worker" }) as const);
      expect(other.registerAll(team).map(({ status }): string => status)).toEqual([
        ...["registered", "registered", "taken", "taken"],
      ]);
      expect(bus.agents().map(({ id, depth }) => [id, depth.data])).toEqual([
        ["away", 1],
        ["hosted", 0],
        ["new", 0],
      ]);
      other.close();
    },
    { shards: 1 },
  ));

test("only one process at a time may take from an inbox", () =>
  withOpenBus((bus, dir) => {
    const other = openBus(dir);
    bus.register({ id: "w", role: "worker" });
    const lease = leaseOf(bus, "w");
    expect(other.lease("w", "data")).toBeUndefined();
    expect(other.lease("w", "control")).toBeDefined();
    lease.release();
    expect(other.lease("w", "data")).toBeDefined();
    other.close();
  }));

test("thousands of agents find their slots from another process's mapping", () =>
  withOpenBus((bus, dir) => {
    const other = openBus(dir);
    expect(other.has("w-0")).toBe(false);
    for (let n = 0; n < 3000; n++) expect(bus.register({ id: `w-${n}`, role: "worker" }).status).toBe("registered");
    for (const n of [0, 1499, 2999]) expect(other.send(draft(`w-${n}`, n)).status).toBe("accepted");
    expect(other.agents()).toHaveLength(3000);
    other.close();
  }));

test("a bell wakes who waits, from another open bus", () =>
  withOpenBus(async (bus, dir) => {
    bus.register({ id: "w", role: "worker" });
    const other = openBus(dir);
    const bell = bus.bell();
    bell.arm("w", "data");
    const rung = new Promise<void>((resolve) => bell.listen(resolve));
    other.send(draft("w", 1));
    await rung;
    expect(bus.depth("w", "data")).toBe(1);
    bell.close();
    expect(readdirSync(`${dir}/bells`)).toEqual([]);
    other.close();
  }));
