import { expect, test } from "bun:test";
import { readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus, Lease } from "../../src/bus/contract.ts";
import { patienceMs, ringFrom, WaitingSender } from "../../src/bus/waits.ts";
import { limits } from "../../src/limits.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { until } from "../support/swarm.ts";

const waitsFor =
  (edges: Record<string, string[]>) =>
  (id: string): readonly string[] =>
    edges[id] ?? [];

test("a ring leads from a sender back to itself, by the shortest way", () => {
  expect(ringFrom("a", waitsFor({ a: ["a"] }))).toEqual(["a"]);
  expect(ringFrom("a", waitsFor({ a: ["b"], b: ["a"] }))).toEqual(["a", "b"]);
  expect(ringFrom("a", waitsFor({ a: ["x", "b"], b: ["c"], c: ["d", "a"], d: ["a"] }))).toEqual(["a", "b", "c"]);
});

test("a way that ends, or that leads into somebody else's ring, is none", () => {
  expect(ringFrom("a", waitsFor({ a: ["b"], b: ["c"] }))).toBeUndefined();
  expect(ringFrom("a", waitsFor({ a: ["b"], b: ["c"], c: ["b"] }))).toBeUndefined();
});

test("a crowd is followed only so far", () => {
  let asked = 0;
  const ring = ringFrom("n0", (id) => {
    asked++;
    return [`n${Number(id.slice(1)) + 1}`];
  });
  expect(ring).toBeUndefined();
  expect(asked).toBe(limits.ringMost);
});

test("the smallest of a ring gives up first, the others one after the other", () => {
  const ring = ["c", "a", "b"];
  expect(ring.map((id) => patienceMs(ring, id))).toEqual([2 * limits.ringRankMs, 0, limits.ringRankMs]);
});

const full = (bus: Bus, id: string): void => {
  bus.register({ id, role: "worker" });
  while (bus.send({ from: "x", to: id, type: "t", payload: null }).status === "accepted");
};

const small = { inboxMessages: 5 };

test("two that wait for each other are a ring once both have been quiet, and only the first of them gives up", () =>
  withOpenBus(async (bus, dir) => {
    for (const id of ["a", "b"]) full(bus, id);
    const a = new WaitingSender(bus, "a");
    const b = new WaitingSender(openBus(dir), "b");
    expect(a.look(["b"])).toBeUndefined();
    expect(b.look(["a"])).toBeUndefined();
    expect(readdirSync(`${dir}/waits`).sort()).toEqual(["a", "b"]);
    await until("a gives up", () => {
      expect(b.look(["a"])).toBeUndefined();
      return a.look(["b"])?.join() === "a,b";
    });
    a.end();
    expect(readdirSync(`${dir}/waits`)).toEqual(["b"]);
    expect(b.look(["a"])).toBeUndefined();
    b.end();
    expect(readdirSync(`${dir}/waits`)).toEqual([]);
  }, small));

test("if the first does not, the next does", () =>
  withOpenBus(async (bus) => {
    for (const id of ["a", "b"]) full(bus, id);
    const a = new WaitingSender(bus, "a");
    const b = new WaitingSender(bus, "b");
    a.look(["b"]);
    await until("b gives up", () => b.look(["a"])?.join() === "b,a");
    a.end();
    b.end();
  }, small));

/** How long the tests below look on: longer than any of a ring would wait. */
const lookOnMs = limits.ringQuietMs + limits.ringRankMs + 500;

test("one that takes a message now and then is in no ring, nor is one whose inbox somebody holds", () =>
  withOpenBus(async (bus, dir) => {
    for (const id of ["a", "b", "c", "d"]) full(bus, id);
    const other = openBus(dir);
    const senders = { a: "b", b: "a", c: "d", d: "c" };
    const waiting = Object.entries(senders).map(([id, to]) => [new WaitingSender(bus, id), to] as const);
    // d waits, and something of it reads.
    const held = other.lease("d", "data") as Lease;
    for (const end = Date.now() + lookOnMs; Date.now() < end; await Bun.sleep(200)) {
      // b reads one, x fills it up again.
      const lease = other.lease("b", "data") as Lease;
      lease.ack(lease.read(1).length);
      lease.release();
      full(bus, "b");
      for (const [sender, to] of waiting) expect(sender.look([to])).toBeUndefined();
    }
    held.release();
    other.close();
    for (const [sender] of waiting) sender.end();
  }, small));

test("what one that waits said is held against how its inbox is read now", () =>
  withOpenBus(async (bus, dir) => {
    for (const id of ["a", "b"]) full(bus, id);
    const a = new WaitingSender(bus, "a");
    const b = new WaitingSender(bus, "b");
    for (const [sender, to] of [
      [a, "b"],
      [b, "a"],
    ] as const)
      sender.look([to]);
    // b does not look again: it may be stopped. But somebody reads what it has got.
    const other = openBus(dir);
    const lease = other.lease("b", "data") as Lease;
    await Bun.sleep(lookOnMs);
    expect(a.look(["b"])).toBeUndefined();
    lease.ack(lease.read(1).length);
    lease.release();
    expect(a.look(["b"])).toBeUndefined();
    other.close();
    a.end();
    b.end();
  }, small));

test("what dead senders left is ignored, replaced and swept; what is no link of ours as well", () =>
  withOpenBus(async (bus, dir) => {
    for (const id of ["a", "b"]) full(bus, id);
    const b = new WaitingSender(bus, "b");
    b.look(["a"]);
    // As b's, but of a process that is no more.
    const gone = readlinkSync(`${dir}/waits/b`)
      .replace(/^\d+ \d+/, "4194304 1")
      .replace(/a$/, "b");
    symlinkSync(gone, `${dir}/waits/a`);
    symlinkSync("../../elsewhere", `${dir}/waits/c`);
    for (const end = Date.now() + lookOnMs; Date.now() < end; await Bun.sleep(200))
      expect(b.look(["a", "c"])).toBeUndefined();
    bus.sweep();
    expect(readdirSync(`${dir}/waits`)).toEqual(["b"]);
    b.end();
  }, small));

test("a sender without an inbox leaves nothing: nobody waits for it", () =>
  withOpenBus((bus, dir) => {
    full(bus, "a");
    expect(new WaitingSender(bus, "anonymous").look(["a"])).toBeUndefined();
    expect(readdirSync(dir)).not.toContain("waits");
  }, small));
