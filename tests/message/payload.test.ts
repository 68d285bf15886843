import { describe, expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { checkPayload, jsonDepth, payloadFromJson } from "../../src/message/payload.ts";

const nested = (depth: number): string => `${"[".repeat(depth)}1${"]".repeat(depth)}`;

describe("the depth of JSON text", () => {
  test("counts brackets and braces, not those in strings", () => {
    const cases: [string, number][] = [
      ["1", 0],
      ["[]", 1],
      ['{"a":[{}]}', 3],
      ["[[],[],[[]]]", 3],
      ['"[[[["', 0],
      ['["\\"[[[", "\\\\", []]', 2],
      ['["\\u005b"]', 1],
      ['["unclosed [[[', 1],
    ];
    for (const [text, depth] of cases) expect([text, jsonDepth(text, 100)]).toEqual([text, depth]);
  });

  test("is counted no further than is asked, whatever the size", () => {
    expect(jsonDepth("[".repeat(5_000_000), 64)).toBe(65);
  });
});

describe("a payload given as JSON", () => {
  test("is any JSON value", () => {
    for (const value of [null, true, 0, -1.5, "", "ä\n\0", [], { a: [1, { b: null }] }])
      expect(payloadFromJson(JSON.stringify(value))).toEqual({ value });
  });

  test("that is not JSON is refused with the reason", () => {
    for (const text of ["", "{", "{a:1}", "[1,]", "'a'", "NaN", "1 2", "\0"]) {
      const checked = payloadFromJson(text);
      expect("problem" in checked && checked.problem).toContain("it is not JSON (");
    }
  });

  test("may be as deep as the limit and no deeper", () => {
    expect(payloadFromJson(nested(limits.payloadDepth))).toHaveProperty("value");
    const deeper = payloadFromJson(nested(limits.payloadDepth + 1));
    expect("problem" in deeper && deeper.problem).toContain(`deeper than ${limits.payloadDepth} levels`);
  });

  test("may have as many bytes as the limit and not one more, counted in UTF-8", () => {
    const fits = JSON.stringify("x".repeat(limits.payloadBytes - 2));
    expect(payloadFromJson(fits)).toHaveProperty("value");
    for (const over of [`${fits} `, JSON.stringify("ä".repeat(limits.payloadBytes / 2))]) {
      const checked = payloadFromJson(over);
      expect("problem" in checked && checked.problem).toMatch(/has \d+ bytes, the limit is 1048576$/);
    }
  });
});

describe("a payload in the form in which it is sent", () => {
  test("is measured as JSON: escapes count", () => {
    expect(checkPayload("\x01".repeat(limits.payloadBytes / 6 - 1))).toHaveProperty("value");
    expect(checkPayload("\x01".repeat(limits.payloadBytes / 6 + 1))).toHaveProperty("problem");
  });

  test("is measured anew after parsing, since numbers may grow", () => {
    const numbers = `[${new Array(limits.payloadBytes / 8).fill("1e20").join(",")}]`;
    expect(numbers.length).toBeLessThan(limits.payloadBytes);
    expect(payloadFromJson(numbers)).toHaveProperty("problem");
  });
});
