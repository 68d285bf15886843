import { describe, expect, test } from "bun:test";
import { formatBytes, formatDuration, parseBytes, parseDurationMs, parseWhole } from "../../src/message/quantity.ts";

describe("a duration", () => {
  test("has a unit or is in seconds", () => {
    const cases: [string, number][] = [
      ["500ms", 500],
      ["5s", 5000],
      ["5", 5000],
      ["2m", 120_000],
      ["8h", 28_800_000],
      ["1.5s", 1500],
      ["0", 0],
      ["0.25", 250],
    ];
    for (const [text, ms] of cases) expect([text, parseDurationMs(text)]).toEqual([text, ms]);
  });

  test("in any other form is none", () => {
    for (const text of [
      "",
      "s",
      "-5s",
      "+5s",
      "5 s",
      "5S",
      "5d",
      "1h30m",
      "1e3",
      ".5s",
      "5.s",
      "NaN",
      "Infinity",
      "5s\n",
      "9".repeat(13),
    ])
      expect([text, parseDurationMs(text)]).toEqual([text, undefined]);
  });

  test("is shown in the largest unit that divides it, and read back the same", () => {
    expect([1, 1500, 5000, 90_000, 120_000, 28_800_000].map(formatDuration)).toEqual([
      "1ms",
      "1500ms",
      "5s",
      "90s",
      "2m",
      "8h",
    ]);
    for (const ms of [0, 1, 999, 1000, 60_000, 3_600_000]) expect(parseDurationMs(formatDuration(ms))).toBe(ms);
  });
});

test("a size is shown in the largest unit that divides it", () => {
  expect([0, 1000, 65_536, 1_048_576, 3 * 2 ** 30].map(formatBytes)).toEqual(["0", "1000", "64KiB", "1MiB", "3GiB"]);
});

test("a whole number is digits and nothing else", () => {
  expect([parseWhole("0"), parseWhole("007"), parseWhole("999999999999999")]).toEqual([0, 7, 999999999999999]);
  for (const text of ["", "-1", "1.0", "1e3", "1_000", "٣", "1".repeat(16)])
    expect([text, parseWhole(text)]).toEqual([text, undefined]);
});

test("a size has a unit or is in bytes; in any other form it is none", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["512", 512],
    ["64KiB", 65_536],
    ["1.5MiB", 1_572_864],
    ["2GiB", 2 ** 31],
  ];
  for (const [text, bytes] of cases) expect([text, parseBytes(text)]).toEqual([text, bytes]);
  for (const text of ["", "KiB", "64KB", "64 KiB", "64kib", "-1", "1e3", "64K", "1TiB", "64KiB\n"]) {
    expect([text, parseBytes(text)]).toEqual([text, undefined]);
  }
});
