import { expect, test } from "bun:test";
import { readHead } from "../../src/os/httphead.ts";

const read = (text: string, most = 8192) => readHead(new TextEncoder().encode(text), most);

test("a head is read once all of it is there", () => {
  const text = "GET /status?a=1 HTTP/1.1\r\nHost: localhost:1\r\nX-Some:  padded \r\n\r\n";
  for (let length = 0; length < text.length; length++) expect(read(text.slice(0, length))).toBe("wait");
  expect(read(text)).toEqual({
    method: "GET",
    target: "/status?a=1",
    headers: new Map([
      ["host", "localhost:1"],
      ["x-some", "padded"],
    ]),
  });
});

test.each<[string, string, number]>([
  ["without a request line", "\r\n\r\n", 400],
  ["of another protocol", "SSH-2.0-x\r\n\r\n", 400],
  ["of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 400],
  ["of HTTP/2 with a path", "GET / HTTP/2.0\r\n\r\n", 505],
  ["with an absolute target", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["without Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400],
  ["with two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ["with a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400],
  ["with a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400],
  ["with a bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400],
  ["with a NUL", "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400],
  ["with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 413],
  ["in chunks", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 413],
])("a head %s is refused", (_, text, status) => {
  expect(read(text)).toBe(status as 400);
});

test("a head that is too long is refused before its end has come", () => {
  expect(read(`GET / HTTP/1.1\r\nA: ${"a".repeat(90)}`, 100)).toBe(431);
  expect(read(`GET / HTTP/1.1\r\nA: ${"a".repeat(90)}\r\n\r\n`, 100)).toBe(431);
});
