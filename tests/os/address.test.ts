import { expect, test } from "bun:test";
import { isLoopback, parseAddress } from "../../src/os/address.ts";

test.each([
  ["7708", "127.0.0.1", 7708],
  ["0", "127.0.0.1", 0],
  ["localhost:80", "127.0.0.1", 80],
  ["127.0.0.2:80", "127.0.0.2", 80],
  ["0.0.0.0:65535", "0.0.0.0", 65_535],
  ["[::1]:80", "::1", 80],
])("%s is an address", (text, host, port) => {
  expect(parseAddress(text)).toEqual({ kind: "tcp", host, port });
});

test("a Unix socket is a path", () => {
  expect(parseAddress("unix:/run/cfn.sock")).toEqual({ kind: "unix", path: "/run/cfn.sock" });
});

test.each([
  "",
  ":80",
  "80:",
  "65536",
  "-1",
  "example.org:80",
  "256.0.0.1:80",
  "1.2.3:80",
  "::1:80",
  "[::1]",
  "[x]:80",
  "unix:",
  `unix:/${"a".repeat(107)}`,
  "1.2.3.4:80:90",
  "http://localhost:80",
])("%p is none", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test("loopback is what only this machine reaches", () => {
  expect(["127.0.0.1", "127.9.9.9", "::1"].map(isLoopback)).toEqual([true, true, true]);
  expect(["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "127.0.0.1.example.org"].map(isLoopback)).not.toContain(true);
});
