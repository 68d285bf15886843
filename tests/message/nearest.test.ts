import { expect, test } from "bun:test";
import { nearest } from "../../src/message/nearest.ts";

test("the nearest names come best first, at most three", () => {
  expect(nearest("alcie", ["bob", "alicia", "alice"])).toEqual(["alice", "alicia"]);
  expect(nearest("alicia", ["alicf", "bob", "alicia"])).toEqual(["alicia", "alicf"]);
  expect(nearest("w-01", ["w-02", "w-03", "w-1", "w-04", "w-011"])).toHaveLength(3);
  expect(nearest("work", ["worker-12"])).toEqual(["worker-12"]);
});

test("what is far from every name is near none", () => {
  expect(nearest("zebra", ["alice", "bob"])).toEqual([]);
  expect(nearest("x".repeat(100_000), ["x"])).toEqual([]);
  expect(nearest("alice", [])).toEqual([]);
});
