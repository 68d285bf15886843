/** The crash-point matrix: what it does and how to read it stands in `matrix.ts` and tests/README.md. */
import { expect, test } from "bun:test";
import { crashMatrix, tableOf } from "./matrix.ts";

test("a sender that finds no space for good is told so, and the others go on", async () => {
  const { outcomes } = await crashMatrix("large body", ["full"]);
  expect(outcomes.filter(({ problems, reached }) => problems.length > 0 || !reached)).toEqual([]);
  expect(outcomes.filter(({ code }) => code === 75).map(({ point }) => point)).toContain("blob.begun");
}, 60_000);

test("a process may die, stop or find no space at any crash point, and nothing accepted is lost", async () => {
  const { outcomes, unnamed } = await crashMatrix();
  const failed = outcomes.filter(({ problems, reached }) => problems.length > 0 || !reached);
  if (failed.length > 0) process.stderr.write(`${tableOf(failed)}\n`);
  expect(failed).toEqual([]);
  expect(unnamed, "points that no scenario reaches").toEqual([]);
  expect(new Set(outcomes.map(({ point }) => point)).size).toBeGreaterThanOrEqual(40);
}, 400_000);
