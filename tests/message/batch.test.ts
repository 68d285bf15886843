import { describe, expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { parseBatchLine } from "../../src/message/batch.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string) => parseBatchLine(bytes(text), "me", "message");

function problem(line: Uint8Array | string): string {
  const parsed = parseBatchLine(typeof line === "string" ? bytes(line) : line, "me", "message");
  if (parsed === undefined || !("problem" in parsed)) throw new Error(`accepted: ${JSON.stringify(parsed)}`);
  return parsed.problem;
}

describe("a batch line", () => {
  test("needs a recipient and a payload; sender and type have defaults", () => {
    expect(read('{"to":"bob","payload":[1]}')).toEqual({
      value: { from: "me", to: "bob", type: "message", payload: [1] },
    });
    expect(read('{"to":"bob","payload":null}')).toMatchObject({ value: { payload: null } });
    expect(problem('{"to":"bob"}')).toBe('"payload" is missing');
    expect(problem('{"payload":1}')).toBe('"to" is missing');
  });

  test("may name sender, type, sequence and what it answers", () => {
    const line = '{"to":"bob","payload":"x","from":"eve","type":"t.x","sequence":7,"reply_to":"bob.0123456789abc0"}';
    expect(read(line)).toEqual({
      value: { from: "eve", to: "bob", type: "t.x", payload: "x", sequence: 7, replyTo: "bob.0123456789abc0" },
    });
  });

  test("that is blank is none", () => {
    for (const text of ["", "  ", "\t\r"]) expect(read(text)).toBeUndefined();
  });

  test("with an unknown key is refused by its name", () => {
    expect(problem('{"to":"bob","payload":1,"tpye":"x"}')).toBe('unknown key "tpye"');
    expect(problem('{"to":"bob","payload":1,"__proto__":1}')).toContain("__proto__");
  });

  test("with a wrong value is refused by the key and what was expected", () => {
    const wrong: [string, string][] = [
      ['"to":"../x"', '"to": expected an agent id'],
      ['"to":"@all"', '"to": expected an agent id'],
      ['"to":5', '"to": expected a string'],
      ['"to":"bob","from":"a b"', '"from": expected an agent id'],
      [`"to":"bob","type":"${"t".repeat(65)}"`, '"type": expected a message type'],
      ['"to":"bob","sequence":0', '"sequence": expected a number from 1'],
      ['"to":"bob","sequence":1.5', '"sequence": expected a whole number'],
      ['"to":"bob","sequence":1e300', '"sequence": expected a number up to'],
      ['"to":"bob","reply_to":"bob"', '"reply_to": expected a message id'],
    ];
    for (const [fields, reason] of wrong) expect(problem(`{"payload":1,${fields}}`)).toContain(reason);
  });

  test("that is no object is refused", () => {
    for (const text of ["1", "null", '"x"', "[]", "[1]"]) expect(problem(text)).toBe("it is not an object");
  });

  test("that is no JSON, holds NUL or is not UTF-8 is refused", () => {
    for (const text of ["{", "bob", '{"to":"bob","payload":1}\0', '{"to":"bob","payload":"\0"}'])
      expect(problem(text)).toContain("it is not JSON");
    expect(problem(new Uint8Array([0x22, 0xff, 0x22]))).toBe("it is not UTF-8");
  });

  test("is bound in length and its payload in depth and size", () => {
    const nested = (depth: number): string => `{"to":"bob","payload":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    expect(read(nested(limits.payloadDepth))).toHaveProperty("value");
    expect(problem(nested(limits.payloadDepth + 1))).toContain("nested deeper");
    expect(problem(`{"to":"bob","payload":"${"x".repeat(limits.payloadBytes)}"}`)).toContain(
      "the payload has 1048578 bytes",
    );
    expect(problem(new Uint8Array(limits.batchLineBytes + 1))).toContain(`more than ${limits.batchLineBytes} bytes`);
  });
});
