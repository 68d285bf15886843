/** The shipped binary struck at its system calls, a sample of them: `syscalls.ts` says how, and strikes all of them. */
import { expect, test } from "bun:test";
import { figuresOf, strikeAll } from "./syscalls.ts";

test("the shipped binary may be killed or find no space at any system call, and nothing accepted is lost", async () => {
  const outcomes = await strikeAll(["send", "recv", "run"], 12);
  expect(
    outcomes.filter(({ problems }) => problems.length > 0),
    figuresOf(outcomes),
  ).toEqual([]);
  expect(outcomes).toHaveLength(36);
}, 200_000);
