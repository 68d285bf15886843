import { expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import type { Lease } from "../../src/bus/contract.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { seeded } from "../support/seed.ts";

test("inboxes that share segments are read whole and in order, messages that were moved too", () => {
  const random = seeded("shared segments");
  return withOpenBus(
    (bus) => {
      const ids = ["w1", "w2", "w3", "w4"];
      const unread = new Map<string, string[]>();
      const leases = new Map<string, Lease>();
      for (const id of ids) {
        bus.register({ id, role: "worker" });
        leases.set(id, bus.lease(id, "data") as Lease);
        unread.set(id, []);
      }
      for (let step = 0; step < 3000; step++) {
        // One inbox is read seldom: its messages are moved out of segments that the others have done with.
        const id = ids[random.below(ids.length)] as string;
        const waiting = unread.get(id) as string[];
        const fill = random.below(4) === 0 ? "ü" : "x"; // A character that is one byte, or two.
        const burst = Array.from(
          { length: random.below(12) },
          (_, n) => `${step}.${n}${fill.repeat(random.below(900))}`,
        );
        const sent = bus.sendBatch(burst.map((payload) => ({ from: "a", to: id, type: "t", payload })));
        sent.forEach(({ status }, n) => {
          if (status === "accepted") waiting.push(burst[n] as string);
        });
        const takes = id === "w1" ? random.below(40) === 0 : random.below(3) === 0;
        if (!takes) continue;
        const lease = leases.get(id) as Lease;
        const wanted = 1 + random.below(400);
        const got = lease.read(wanted).map(({ message }) => message.payload as string);
        expect(got).toEqual(waiting.slice(0, wanted));
        const done = random.below(got.length + 1);
        lease.ack(done);
        waiting.splice(0, done);
        expect(lease.depth()).toBe(waiting.length);
      }
      for (const id of ids)
        expect(bus.peek(id, "data", 5000).map(({ payload }) => payload)).toEqual(unread.get(id) ?? []);
      expect(bus.sweep().damaged).toBe(0);
    },
    { shards: 1 },
  );
});

test("a message that was damaged where it lies is never handed over, and the damage is counted", () =>
  withOpenBus(
    (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      for (const payload of ["first", "second-of-three", "third"]) bus.send({ from: "a", to: "w", type: "t", payload });
      const shard = resolve(dir, "shards/00");
      const segment = readdirSync(shard).find((name) => name.startsWith("segment-")) as string;
      const at = readFileSync(resolve(shard, segment)).indexOf("second-of-three");
      const fd = openSync(resolve(shard, segment), "r+");
      writeSync(fd, "SECOND", at);
      closeSync(fd);
      const lease = bus.lease("w", "data") as Lease;
      const seen: unknown[] = [];
      for (let got = lease.read(10); got.length > 0; got = lease.read(10)) {
        seen.push(...got.map(({ message }) => message.payload));
        lease.ack(got.length);
      }
      expect(seen[0]).toBe("first");
      expect(seen).not.toContain("SECOND-of-three");
      expect(bus.sweep().damaged).toBeGreaterThan(0);
      expect(bus.send({ from: "a", to: "w", type: "t", payload: "later" }).status).toBe("accepted");
      expect(lease.read(10).at(-1)?.message.payload).toBe("later");
    },
    { shards: 1 },
  ));

test("what is acknowledged while more is read is gone, and what is read then is there until it is acknowledged", () =>
  withOpenBus(
    (bus) => {
      bus.register({ id: "w", role: "worker" });
      const payloads = Array.from({ length: 10 }, (_, n) => (n === 1 ? "blob".repeat(10_000) : n));
      bus.sendBatch(payloads.map((payload) => ({ from: "a", to: "w", type: "t", payload })));
      const lease = bus.lease("w", "data") as Lease;
      const payloadsOf = (read: ReturnType<Lease["read"]>) => read.map(({ message }) => message.payload);
      expect(payloadsOf(lease.read(3))).toEqual(payloads.slice(0, 3));
      // Less than was read: the rest is handed over again.
      const [again, ...others] = lease.ackAndRead(2, 4);
      expect(again?.message).toMatchObject({ payload: 2, attempt: 2 });
      expect(payloadsOf(others)).toEqual(payloads.slice(3, 6));
      expect(lease.depth()).toBe(8);
      expect(payloadsOf(lease.ackAndRead(4, 100))).toEqual(payloads.slice(6));
      expect(lease.ackAndRead(4, 100)).toEqual([]);
      expect(lease.depth()).toBe(0);
    },
    { shards: 1 },
  ));

test("rows of messages that fill several segments are whole and in order, in any script", () =>
  withOpenBus(
    (bus) => {
      for (const id of ["v", "w"]) bus.register({ id, role: "worker" });
      const letters = ["x", "é", "日", "😀", "\ud800", "\u0000", '"\\'];
      const sentTo = { v: [] as string[], w: [] as string[] };
      const drafts = Array.from({ length: 700 }, (_, n) => {
        const to = n % 90 < 80 ? "w" : "v";
        const payload = `${n}${(letters[n % letters.length] as string).repeat(n)}`;
        sentTo[to].push(payload);
        return { from: "a", to, type: "t", payload };
      });
      expect(bus.sendBatch(drafts).filter(({ status }) => status !== "accepted")).toEqual([]);
      for (const to of ["v", "w"] as const) {
        const read = (bus.lease(to, "data") as Lease).read(1000);
        expect(read.map(({ message }) => message.payload)).toEqual(sentTo[to]);
        expect(read.map(({ message }) => message.sequence)).toEqual(sentTo[to].map((_, n) => n + 1));
      }
      expect(bus.sweep().damaged).toBe(0);
    },
    { shards: 1 },
  ));
