import { expect, test } from "bun:test";
import { bundlesOf, entryId } from "../../src/coordinator/bundle.ts";
import { Tally } from "../../src/coordinator/tally.ts";

const all = Array.from({ length: 100 }, (_, n) => n);

test("bundles hold everything, once and in order, and at most 32 each", () => {
  const bundles = bundlesOf(all, () => 1);
  expect(bundles.flat()).toEqual(all);
  expect(bundles.map(({ length }) => length)).toEqual([32, 32, 32, 4]);
});

test("a bundle is no longer than a record takes, and what is longer by itself goes alone", () => {
  const bundles = bundlesOf([2000, 2000, 2000, 90_000, 1], (chars) => chars);
  expect(bundles).toEqual([[2000, 2000], [2000], [90_000], [1]]);
});

test("of nothing there are no bundles", () => {
  expect(bundlesOf([], () => 1)).toEqual([]);
});

test("a bundle that comes twice counts as a duplicate for each of its results, and none of them again", () => {
  const tally = new Tally();
  const ids = [entryId("m", 0), entryId("m", 1)];
  for (const id of ids) tally.taskSent(id);
  expect(tally.isNew("c1", 1, 2)).toBe(true);
  expect(ids.map((id) => tally.answered(id))).toEqual([true, true]);
  expect(tally.isNew("c1", 1, 2)).toBe(false);
  expect(tally.delivery()).toMatchObject({ expected: 4, delivered: 4, duplicates: 2, lost: [] });
});
