import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { availableBytes, loadAverage, pressurePercent } from "../../src/os/load.ts";

test("the memory that is left is at most what the kernel calls available, and some", () => {
  const kernel = (): number =>
    Number(/^MemAvailable: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) * 1024;
  const before = kernel();
  const left = availableBytes();
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(Math.max(before, kernel()) + 2 ** 28);
});

test("load and pressure are what the kernel says, where it does", () => {
  expect(loadAverage()).toBeGreaterThanOrEqual(0);
  const pressure = pressurePercent();
  if (existsSync("/proc/pressure/cpu")) expect(pressure).toBeWithin(0, 101);
  else expect(pressure).toBeUndefined();
});
