/**
 * Death at every atomic store of an operation. The operation runs with `Atomics` made to throw at the k-th store, for k = 1,
 * 2, … until it gets through; the throw leaves the index as a kill there would (the lock is freed, `dirty` stays). Then the
 * bus is opened anew and must hold exactly the accepted messages, whole and in order, and serve.
 *
 * Limits: plain stores between two atomic ones are not cut apart, and nothing runs beside it; `kill.test.ts` covers what
 * real processes do.
 */
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { destroyBus } from "../../src/bus/removal.ts";
import { withOpenBus } from "../support/open-bus.ts";

class Death extends Error {}

const stores = ["store", "add", "sub", "or", "exchange", "compareExchange"] as const;

/** Runs `work` and dies at its k-th atomic store; true if it got through with fewer. */
function dieAt(k: number, work: () => void): boolean {
  const originals = stores.map((name) => Atomics[name]);
  let left = k;
  stores.forEach((name, n) => {
    Object.assign(Atomics, {
      [name]: (...args: never[]) => {
        if (--left === 0) throw new Death();
        return (originals[n] as (...all: never[]) => number)(...args);
      },
    });
  });
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof Death) return false;
    throw error;
  } finally {
    stores.forEach((name, n) => {
      Object.assign(Atomics, { [name]: originals[n] });
    });
  }
}

const fill = (n: number, bytes: number): string => `${n}:${"x".repeat(bytes)}`;

interface Subject {
  readonly name: string;
  /** Puts the bus into the state from which the operation starts; returns the payloads then in `w`, oldest first. */
  readonly before: (bus: Bus) => string[];
  readonly operation: (bus: Bus) => void;
  /** The payloads that may be in `w` after a death on the way, longest first: prefixes and suffixes of what was accepted. */
  readonly allowed: (had: string[]) => string[][];
}

const send = (bus: Bus, payload: string, to = "w"): void => {
  const sent = bus.send({ from: "a", to, type: "t", payload });
  if (sent.status !== "accepted") throw new Error(`not accepted: ${JSON.stringify(sent)}`);
};

const some = (bus: Bus, count: number, bytes: number): string[] =>
  Array.from({ length: count }, (_, n) => {
    send(bus, fill(n, bytes));
    return fill(n, bytes);
  });

const subjects: Subject[] = [
  {
    name: "a send to an empty inbox",
    before: () => [],
    operation: (bus) => send(bus, "new"),
    allowed: () => [["new"], []],
  },
  {
    name: "a send behind others",
    before: (bus) => some(bus, 3, 10),
    operation: (bus) => send(bus, "new"),
    allowed: (had) => [[...had, "new"], had],
  },
  {
    name: "a batch",
    before: (bus) => some(bus, 2, 10),
    operation: (bus) => {
      bus.sendBatch(["p", "q", "r"].map((payload) => ({ from: "b", to: "w", type: "t", payload })));
    },
    allowed: (had) => [[...had, "p", "q", "r"], [...had, "p", "q"], [...had, "p"], had],
  },
  {
    name: "a send that opens a new segment",
    before: (bus) => some(bus, 19, 13_500),
    operation: (bus) => send(bus, fill(99, 13_500)),
    allowed: (had) => [[...had, fill(99, 13_500)], had],
  },
  {
    name: "taking three of five",
    before: (bus) => some(bus, 5, 10),
    operation: (bus) => {
      const lease = bus.lease("w", "data");
      lease?.read(3);
      lease?.ack(3);
    },
    allowed: (had) => [had, had.slice(1), had.slice(2), had.slice(3)],
  },
  {
    name: "taking the last of a segment",
    before: (bus) => some(bus, 25, 13_500),
    operation: (bus) => bus.lease("w", "data")?.ack(21),
    allowed: (had) => Array.from({ length: 22 }, (_, n) => had.slice(n)),
  },
  {
    name: "a send that moves an idle inbox forward",
    before: (bus) => {
      // Five segments with one unread message each, the sixth nearly full.
      for (let n = 0; n < 6; n++) {
        send(bus, fill(n, 100), "w");
        for (let m = 0; m < 18; m++) send(bus, "y".repeat(13_500), "busy");
      }
      bus.lease("busy", "data")?.ack(1000);
      return Array.from({ length: 6 }, (_, n) => fill(n, 100));
    },
    operation: (bus) => {
      for (let m = 0; m < 8; m++) send(bus, "y".repeat(13_500), "busy");
    },
    allowed: (had) => [had],
  },
  {
    name: "registering and leaving",
    before: (bus) => some(bus, 2, 10),
    operation: (bus) => {
      bus.register({ id: "new", role: "worker" });
      bus.unregister("new");
      bus.unregister("busy");
    },
    allowed: (had) => [had],
  },
];

for (const { name, before, operation, allowed } of subjects) {
  test(`${name} may die at any store and nothing accepted is lost`, async () => {
    let points = 0;
    for (let k = 1, through = false; !through; k++) {
      await withOpenBus(
        (bus, dir) => {
          bus.register({ id: "w", role: "worker" });
          bus.register({ id: "busy", role: "worker" });
          const had = before(bus);
          through = dieAt(k, () => operation(bus));
          points = k;
          const after = openBus(dir);
          try {
            // A send is what finds the damage first, as the next sender would.
            send(after, "afterwards");
            const found = after.peek("w", "data", 2000).map((message) => message.payload as string);
            expect(found.at(-1)).toBe("afterwards");
            const choices = through ? allowed(had).slice(0, 1) : allowed(had);
            const done = name.startsWith("taking") && through ? allowed(had).slice(-1) : choices;
            expect(done.map((choice) => choice.join())).toContain(found.slice(0, -1).join());
            expect(after.depth("w", "data")).toBe(found.length);
            const sequences = after.peek("w", "data", 2000).filter((one) => one.from === "a");
            expect(sequences.map((one) => one.sequence)).toEqual(
              sequences.map((_, at) => (sequences[0]?.sequence ?? 0) + at),
            );
          } finally {
            after.close();
          }
        },
        { shards: 1 },
      );
    }
    expect(points).toBeGreaterThan(4);
  }, 60_000);
}

test("what a dead sender had half written is never taken for a record, however short the next one is", async () => {
  for (let k = 1, through = false; !through; k++) {
    await withOpenBus(
      (bus, dir) => {
        bus.register({ id: "w", role: "worker" });

        through = dieAt(k, () => send(bus, "@\u0000\u0000\u0000".repeat(400)));
        const after = openBus(dir);
        send(after, "short");
        dieAt(2, () => send(after, "dies at once"));
        send(after, "last");
        expect(
          after
            .peek("w", "data", 9)
            .map((one) => one.payload as string)
            .slice(-2),
        ).toEqual(["short", "last"]);
        expect(after.sweep().damaged).toBe(0);
        after.close();
      },
      { shards: 1 },
    );
  }
});

test("a segment whose maker died before it was reserved is removed, whatever its size", () =>
  withOpenBus(
    (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      send(bus, "before");
      for (const [number, bytes] of [
        [2, 0],
        [3, 100],
        [4, 70_000],
      ] as const) {
        writeFileSync(`${dir}/shards/00/segment-${number}`, new Uint8Array(bytes));
      }
      expect(dieAt(2, () => send(bus, "dies"))).toBe(false);
      const after = openBus(dir);
      send(after, "after");
      expect(after.peek("w", "data", 9).map((one) => one.payload)).toEqual(["before", "after"]);
      expect(readdirSync(`${dir}/shards/00`).filter((name) => name.startsWith("segment-"))).toEqual(["segment-1"]);
      after.close();
    },
    { shards: 1 },
  ));

test("a bus is gone after its removal", () =>
  withOpenBus((bus, dir) => {
    destroyBus(dir);
    expect(() => openBus(dir)).toThrow("gone");
    bus.close();
  }));
