import { expect, test } from "bun:test";
import { permittedPerSecond, pressureOf } from "../../src/coordinator/pacing.ts";
import { limits } from "../../src/limits.ts";

test("there is no limit up to the mark, and none at all where none is configured", () => {
  expect(permittedPerSecond(1000, 0)).toBe(0);
  expect(permittedPerSecond(1000, limits.pacingFromPercent)).toBe(0);
  for (const pressure of [0, 60, 100]) expect(permittedPerSecond(0, pressure)).toBe(0);
});

test("above it the rate falls in a straight line to one that lets everybody talk", () => {
  expect(permittedPerSecond(1000, 50.01)).toBe(1000);
  expect(permittedPerSecond(1000, 75)).toBe((1000 + limits.senderPerSecondLeast) / 2);
  expect(permittedPerSecond(1000, 100)).toBe(limits.senderPerSecondLeast);
  for (let pressure = 51; pressure < 100; pressure++)
    expect(permittedPerSecond(1000, pressure)).toBeGreaterThan(permittedPerSecond(1000, pressure + 1));
});

test("a configured rate below the least one is never raised, and never becomes no limit", () => {
  for (const configured of [1, 3, limits.senderPerSecondLeast])
    for (const pressure of [51, 80, 100]) expect(permittedPerSecond(configured, pressure)).toBe(configured);
});

test("without the kernel's pressure the load beyond one process a core counts", () => {
  expect(pressureOf(12.5, 100, 2)).toBe(12.5);
  expect(pressureOf(undefined, 1, 2)).toBe(0);
  expect(pressureOf(undefined, 3, 2)).toBe(50);
  expect(pressureOf(undefined, 40, 2)).toBe(100);
});
