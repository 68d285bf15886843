import { describe, expect, test } from "bun:test";
import type { Address } from "../../src/os/http.ts";
import { refused } from "../../src/serve/gate.ts";

const loopback: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };
const status = (
  headers: Record<string, string>,
  { address = loopback as Address, token = undefined as string | undefined, method = "GET" } = {},
) =>
  refused({ address, port: 7708, token }, { method, target: "/", headers: new Map(Object.entries(headers)) })?.status;

describe("the Host header", () => {
  test.each(["127.0.0.1:7708", "localhost:7708", "LOCALHOST:7708", "127.0.0.9:7708", "[::1]:7708"])(
    "%s names us",
    (host) => {
      expect(status({ host })).toBeUndefined();
    },
  );

  test.each([
    "",
    "evil.example",
    "evil.example:7708",
    "localhost",
    "localhost:80",
    "127.0.0.1.evil.example:7708",
    "10.0.0.1:7708",
    "localhost:7708@evil.example",
    "[::2]:7708",
  ])("%p names somebody else", (host) => {
    expect(status({ host })).toBe(421);
  });

  test("may be left out only of nothing", () => {
    expect(status({})).toBe(421);
  });

  test("is anybody's on an address that has names we do not know, and on a Unix socket", () => {
    expect(status({ host: "metrics.example:7708" }, { address: { ...loopback, host: "0.0.0.0" } })).toBeUndefined();
    expect(status({ host: "metrics.example:7709" }, { address: { ...loopback, host: "0.0.0.0" } })).toBe(421);
    expect(status({ host: "x" }, { address: { kind: "unix", path: "/x" } })).toBeUndefined();
  });
});

describe("the token", () => {
  const host = "localhost:7708";
  const token = "0123456789abcdef";
  test.each([
    undefined,
    "",
    "Bearer",
    "Bearer 0123456789abcdeg",
    "Bearer 0123456789abcdef0",
    "bearer 0123456789abcdef",
    "Basic 0123456789abcdef",
  ])("%p is refused", (authorization) => {
    expect(status({ host, ...(authorization === undefined ? {} : { authorization }) }, { token })).toBe(401);
  });

  test("opens where it is right, but not for another Host", () => {
    expect(status({ host, authorization: `Bearer ${token}` }, { token })).toBeUndefined();
    expect(status({ host: "evil.example:7708", authorization: `Bearer ${token}` }, { token })).toBe(421);
  });
});

test("nothing can be changed", () => {
  const host = "localhost:7708";
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
    expect(status({ host }, { method })).toBe(405);
  expect(status({ host }, { method: "HEAD" })).toBeUndefined();
});
