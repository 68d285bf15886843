import { describe, expect, test } from "bun:test";
import { ArraySplitter, LineSplitter, type Splitter } from "../../src/coordinator/lines.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** All pieces of the input, cut into chunks of `size` bytes. */
function split(splitter: Splitter, input: Uint8Array, size: number): string[] {
  const pieces: string[] = [];
  const take = (): void => {
    for (let piece = splitter.next(); piece !== undefined; piece = splitter.next()) {
      pieces.push(`${piece.line}:${piece.text}`);
    }
  };
  for (let at = 0; at < input.length; at += size) {
    splitter.push(input.slice(at, at + size));
    take();
  }
  splitter.end();
  take();
  return pieces;
}

const sizes = [1, 2, 3, 7, 1000];

describe("lines", () => {
  test("come out the same however the input is cut", () => {
    for (const size of sizes) {
      expect(split(new LineSplitter("f", 100), bytes("a\nbé\n\n  \nlast\n"), size)).toEqual(["1:a", "2:bé", "5:last"]);
    }
  });

  test("include one at the end without a newline", () => {
    for (const size of sizes)
      expect(split(new LineSplitter("f", 100), bytes("a\nend"), size)).toEqual(["1:a", "2:end"]);
  });

  test("that are short come out one by one after a long one that came in pieces", () => {
    expect(split(new LineSplitter("f", 100), bytes("abcdefgh\na\nb\nc\n"), 6)).toEqual([
      "1:abcdefgh",
      "2:a",
      "3:b",
      "4:c",
    ]);
  });

  test("of an empty input are none", () => {
    expect(split(new LineSplitter("f", 100), bytes(""), 1)).toEqual([]);
    expect(split(new LineSplitter("f", 100), bytes("\n\n"), 1)).toEqual([]);
  });

  test("with a NUL are refused with line and column", () => {
    expect(() => split(new LineSplitter("f", 100), bytes("a\nb\0c\n"), 9)).toThrow(
      "f line 2 has a NUL byte at column 2",
    );
  });

  test("that are not UTF-8 are refused", () => {
    const input = new Uint8Array([97, 10, 0xff, 10]);
    expect(() => split(new LineSplitter("f", 100), input, 9)).toThrow("f line 2 is not valid UTF-8");
  });

  test("longer than the limit are refused before they end", () => {
    for (const size of sizes) {
      expect(() => split(new LineSplitter("f", 10), bytes("ok\n12345678901"), size)).toThrow(
        "f line 2 is longer than 10",
      );
    }
    expect(() => split(new LineSplitter("f", 10), bytes("12345678901\n"), 99)).toThrow("f line 1 is longer than 10");
    expect(split(new LineSplitter("f", 10), bytes("1234567890\n"), 4)).toEqual(["1:1234567890"]);
  });
});

describe("elements of a JSON array", () => {
  test("come out the same however the input is cut", () => {
    const input = bytes('[ {"a":[1,"]"]},\n"x\\"],",\n [2] ]\n');
    for (const size of sizes) {
      const texts = split(new ArraySplitter("f", 100), input, size).map((piece) =>
        JSON.parse(piece.replace(/^\d+:/, "")),
      );
      expect(texts).toEqual([{ a: [1, "]"] }, 'x"],', [2]]);
    }
  });

  test("of an empty array or input are none", () => {
    expect(split(new ArraySplitter("f", 100), bytes(" [ ] "), 1)).toEqual([]);
    expect(split(new ArraySplitter("f", 100), bytes(" \n"), 1)).toEqual([]);
  });

  test("are the object itself where there is only one", () => {
    expect(split(new ArraySplitter("f", 100), bytes('{"run":"{"}'), 1)).toEqual(['1:{"run":"{"}']);
  });

  test("that are missing between commas are refused", () => {
    expect(() => split(new ArraySplitter("f", 100), bytes("[1,,2]"), 1)).toThrow("empty element");
    expect(() => split(new ArraySplitter("f", 100), bytes("[1,]"), 1)).toThrow("empty element");
  });

  test("are refused where the input ends inside them, goes on after them or is something else", () => {
    expect(() => split(new ArraySplitter("f", 100), bytes('[{"a":'), 1)).toThrow("ends inside its JSON");
    expect(() => split(new ArraySplitter("f", 100), bytes("[1] x"), 1)).toThrow("goes on after its JSON");
    expect(() => split(new ArraySplitter("f", 100), bytes("true"), 1)).toThrow("does not begin with [ or {");
  });

  test("longer than the limit are refused before they end", () => {
    expect(() => split(new ArraySplitter("f", 10), bytes(`[1, "${"x".repeat(20)}`), 1)).toThrow("longer than 10");
  });
});
