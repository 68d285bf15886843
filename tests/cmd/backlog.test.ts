import { expect, test } from "bun:test";
import { Backlog } from "../../cmd/backlog.ts";
import type { Draft } from "../../src/message/message.ts";

const drafts = (...to: string[]): Draft[] => to.map((id, n) => ({ from: "a", to: id, type: "t", payload: n }));
const shown = (all: readonly Draft[]): string[] => all.map(({ to, payload }) => `${to}${payload}`);

test("the first of each recipient's is tried, then twice as many while there is room for all", () => {
  const backlog = new Backlog(drafts("x", "x", "y", "x", "x", "y", "x", "x", "x"), 1);
  const tries: string[][] = [];
  for (let next = backlog.next(); next.length > 0; next = backlog.next()) {
    tries.push(shown(next));
    backlog.tried(next, []);
  }
  expect(tries).toEqual([
    ["x0", "y2"],
    ["x1", "x3", "y5"],
    ["x4", "x6", "x7", "x8"],
  ]);
  expect(backlog.rest).toEqual([]);
});

test("after a refusal one is tried again, behind it nothing is, and no other recipient waits for that", () => {
  const backlog = new Backlog(drafts("x", "x", "x", "x", "y", "y"), 1);
  backlog.tried(backlog.next(), []);
  const next = backlog.next();
  expect(shown(next)).toEqual(["x1", "x2", "y5"]);
  backlog.tried(next, next.slice(1, 2));
  expect(shown(backlog.next())).toEqual(["x2"]);
  expect(backlog.recipients).toEqual(["x"]);
  backlog.tried(backlog.next(), backlog.next());
  expect(shown(backlog.next())).toEqual(["x2"]);
  expect(shown(backlog.rest)).toEqual(["x2", "x3"]);
});

test("sixty-four are tried at least: that a sender wakes costs more than what it then tries", () => {
  const backlog = new Backlog(drafts(...new Array<string>(100).fill("x")));
  expect(backlog.next()).toHaveLength(64);
  backlog.tried(backlog.next(), backlog.next().slice(1));
  expect(shown(backlog.next())).toEqual(Array.from({ length: 64 }, (_, n) => `x${n + 1}`));
});
