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
