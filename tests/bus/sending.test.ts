import { expect, test } from "bun:test";
import { closeSync, openSync, renameSync, symlinkSync, unlinkSync, writeSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { C, H } from "../../src/bus/layout.ts";
import { chainWord } from "../../src/bus/slots.ts";
import type { Draft } from "../../src/message/message.ts";
import { withOpenBus } from "../support/open-bus.ts";

const bounds = { shards: 1, inboxMessages: 4 };
const draft = (to: string, more: Partial<Draft> = {}): Draft => ({ from: "a", to, type: "t", payload: 1, ...more });
const statuses = (bus: Bus, ...drafts: Draft[]): string[] => bus.sendBatch(drafts).map(({ status }) => status);

/** Overwrites a word of the only shard's index. */
function setWord(dir: string, word: number, value: number): void {
  const fd = openSync(`${dir}/shards/00/index`, "r+");
  writeSync(fd, new Uint32Array([value]), 0, 4, word * 4);
  closeSync(fd);
}

test("a batch fills what room there is, inbox by inbox, and keeps the order of each", () =>
  withOpenBus((bus) => {
    bus.registerAll(["v", "w"].map((id) => ({ id, role: "worker" })));
    bus.send(draft("w"));
    const mixed = ["w", "v", "w", "w", "w", "v", "w"].map((to) => draft(to));
    expect(statuses(bus, ...mixed)).toEqual([
      ...["accepted", "accepted", "accepted", "accepted"],
      ...["full", "accepted", "full"],
    ]);
    expect(bus.peek("w", "data", 9).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(statuses(bus, draft("w", { chain: "control" }), draft("v"), draft("v"), draft("v"))).toEqual([
      ...["accepted", "accepted", "accepted", "full"],
    ]);
  }, bounds));

test("a retry of what was accepted is known as such, though the inbox is full by now", () =>
  withOpenBus((bus) => {
    bus.register({ id: "w", role: "worker" });
    for (let n = 1; n <= 4; n++) bus.send(draft("w", { sequence: n }));
    expect(bus.send(draft("w", { sequence: 4 }))).toMatchObject({ status: "duplicate", sequence: 4 });
    expect(bus.send(draft("w", { sequence: 5 }))).toMatchObject({ status: "full" });
    expect(bus.send(draft("w"))).toMatchObject({ status: "full", what: "inbox", limit: "4 messages" });
  }, bounds));

test("a retry of what was accepted is known as such, though the bus has no room for its body by now", () =>
  withOpenBus(
    (bus) => {
      bus.register({ id: "w", role: "worker" });
      const large = { payload: "x".repeat(200_000) };
      expect(bus.send(draft("w", { ...large, sequence: 1 }))).toMatchObject({ status: "accepted" });
      let sequence = 1;
      while (bus.send(draft("w", large)).status === "accepted") sequence++;
      expect(bus.send(draft("w", { ...large, sequence: 1 }))).toMatchObject({ status: "duplicate", sequence: 1 });
      const { refusedBusFull } = bus.stats();
      expect(bus.send(draft("w", { ...large, sequence: sequence + 1 }))).toMatchObject({ status: "full", what: "bus" });
      expect(bus.send(draft("w", large))).toMatchObject({ status: "full", what: "bus" });
      expect(bus.stats().refusedBusFull).toBe(refusedBusFull + 2);
      expect(bus.send(draft("w", { ...large, sequence: sequence + 2 }))).toMatchObject({ status: "gap" });
    },
    { busBytes: 4 * 1024 * 1024, shards: 1, inboxBytes: 64 * 1024 * 1024 },
  ));

test("a depth that nobody wrote refuses nobody: it is mended", () =>
  withOpenBus((bus, dir) => {
    bus.register({ id: "w", role: "worker" });
    bus.send(draft("w"));
    setWord(dir, chainWord(0, 0) + C.depth, 5000);
    expect(bus.send(draft("w"))).toMatchObject({ status: "accepted", sequence: 2 });
    expect(bus.depth("w", "data")).toBe(2);
    expect(bus.damaged()).toBe(1);
  }, bounds));

test("a bus whose holder died in the middle of a change is mended by the next sender, however deep it seems", () =>
  withOpenBus((bus, dir) => {
    bus.register({ id: "w", role: "worker" });
    setWord(dir, chainWord(0, 0) + C.depth, 4);
    setWord(dir, H.dirty, 1);
    expect(bus.send(draft("w"))).toMatchObject({ status: "accepted", sequence: 1 });
    expect(bus.damaged()).toBe(0);
  }, bounds));

test("a batch of which one shard takes none for now is told of what the others took, and nothing is there twice", () =>
  withOpenBus(
    (bus, dir) => {
      const ids = Array.from({ length: 8 }, (_, n) => `w${n}`);
      bus.registerAll(ids.map((id) => ({ id, role: "worker" })));
      expect(statuses(bus, ...ids.map((to) => draft(to)))).toEqual(ids.map(() => "accepted"));
      // Who has not mapped this yet cannot open it.
      const segment = `${dir}/shards/01/segment-1`;
      renameSync(segment, `${dir}/kept`);
      symlinkSync(segment, segment);
      const other = openBus(dir);
      const outcomes = statuses(other, ...ids.map((to) => draft(to, { from: "b" })));
      const [taken, refused] = ["accepted", "full"].map((status) => ids.filter((_, n) => outcomes[n] === status)) as [
        string[],
        string[],
      ];
      expect([taken.length + refused.length, taken.length > 0, refused.length > 0]).toEqual([8, true, true]);
      expect(() => other.sendBatch(refused.map((to) => draft(to, { from: "b" })))).toThrow(segment);
      unlinkSync(segment);
      renameSync(`${dir}/kept`, segment);
      expect(statuses(other, ...refused.map((to) => draft(to, { from: "b" })))).toEqual(refused.map(() => "accepted"));
      for (const id of ids) expect(other.peek(id, "data", 9).map(({ from }) => from)).toEqual(["a", "b"]);
      other.close();
    },
    { shards: 2 },
  ));
