import { expect, test } from "bun:test";
import { Seats } from "../../src/agent/seats.ts";
import type { StateFiles } from "../../src/agent/states.ts";
import type { Bus, Lease, Registration } from "../../src/bus/contract.ts";
import { CfnError } from "../../src/errors.ts";

/** The seats a, b and c on a bus on which somebody else hosts the `taken` ids; `leased` are those opened, in that order. */
function scene(epoch: number, ...taken: string[]) {
  const leased: string[] = [];
  const busy = { now: false };
  const bus = {
    registerAll: (all: readonly Registration[]) =>
      all.map(({ id }) => (taken.includes(id) ? { status: "taken", hostPid: 7 } : { status: "registered" })),
    unregister: () => 0,
    leaseAll: (ids: readonly string[]) => {
      if (busy.now) throw new CfnError("try_again", "busy");
      leased.push(...ids);
      return ids.map(() => ({}) as Lease);
    },
  } as unknown as Bus;
  const states = { change: () => undefined } as unknown as StateFiles;
  const make = () => new Seats({ bus, lead: "lead", epoch, seats: ["a", "b", "c"] }, states);
  return { make, leased, taken, busy };
}

const idsOf = (seats: Iterable<{ readonly id: string }>): string[] => Array.from(seats, ({ id }) => id);

test("a seat is opened when it is first asked for, and once", () => {
  const { make, leased } = scene(1);
  const seats = make();
  expect([leased, seats.unopened, seats.firstUnopened(2)]).toEqual([[], 3, ["a", "b"]]);
  const [b] = seats.of(["b"]);
  expect(seats.of(["c", "b"])[1]).toBe(b);
  expect([leased, seats.unopened, seats.firstUnopened(2)]).toEqual([["b", "c"], 1, ["a"]]);
  expect(idsOf(seats.opened())).toEqual(["b", "c"]);
});

test("a seat is there whether it is open or not, others are not", () => {
  const seats = scene(1).make();
  seats.of(["b"]);
  expect(["a", "b", "z"].map((id) => seats.has(id))).toEqual([true, true, false]);
  expect(() => seats.of(["z"])).toThrow("z has a seat in this host");
});

test("a seat that cannot be opened just then is opened later", () => {
  const { make, leased, busy } = scene(1);
  const seats = make();
  busy.now = true;
  expect(() => seats.of(["b", "c"])).toThrow("busy");
  expect([seats.unopened, seats.has("b")]).toEqual([3, true]);
  busy.now = false;
  expect(idsOf(seats.of(["b"]))).toEqual(["b"]);
  expect([seats.unopened, leased]).toEqual([2, ["b"]]);
});

test("all seats take tasks but those that were stopped by themselves", () => {
  const seats = scene(1).make();
  const [b] = seats.of(["b", "c"]);
  if (b !== undefined) b.retired = true;
  expect(seats.taking).toEqual(["c", "a"]);
});

test("open seats have their turn one after the other, and begin again", () => {
  const seats = scene(1).make();
  expect(seats.next(2)).toEqual([]);
  seats.of(["a", "b", "c"]);
  expect(idsOf(seats.next(2))).toEqual(["a", "b"]);
  expect(idsOf(seats.next(2))).toEqual(["c", "a"]);
  expect(idsOf(seats.next(9))).toEqual(["b", "c", "a"]);
});

test("in the first epoch a seat that somebody else hosts is an error", () => {
  expect(scene(1, "b").make).toThrow(CfnError);
});

test("later, seats that somebody else hosts are awaited, under their own numbers", () => {
  const { make, leased, taken } = scene(2, "a", "b");
  const seats = make();
  expect([seats.taking, seats.awaits, seats.has("a")]).toEqual([["c"], true, false]);
  taken.shift();
  expect(seats.takeAwaited()).toEqual(["a"]);
  expect([seats.taking, seats.awaits, seats.has("a"), leased]).toEqual([["c", "a"], true, true, []]);
  taken.shift();
  expect(seats.takeAwaited()).toEqual(["b"]);
  expect(seats.awaits).toBe(false);
  expect(["a", "b", "c"].map((id) => seats.numbers.get(id))).toEqual([0, 1, 2]);
});
