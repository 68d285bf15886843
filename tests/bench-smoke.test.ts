/** Every benchmark runs, at tiny sizes, and its own checks hold. No figure is looked at: they would mean nothing here. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Result } from "../bench/support/result.ts";
import { cfnBinary, repositoryRoot, runCommand } from "./support/binary.ts";

const names = ["swarm", "baseline", "bus", "start", "send", "stream", "backpressure"];
let results = "";

const ofBench = (): string[] => readdirSync("/dev/shm").filter((name) => name.startsWith("cfn-bench-"));
const before = new Set(ofBench());

beforeAll(() => {
  results = mkdtempSync(join(tmpdir(), "cfn-bench-smoke-"));
});
afterAll(() => rmSync(results, { recursive: true, force: true }));

const bench = (...args: string[]) =>
  runCommand([process.execPath, join(repositoryRoot, "bench/run.ts"), ...args], {
    env: { CFN_BENCH_BINARY: cfnBinary },
    timeoutMs: 110_000,
  });

const isFigure = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value) && value >= -1e6;

for (const name of names) {
  test(`the benchmark ${name} runs, checks itself and leaves its samples`, async () => {
    const ran = await bench("--smoke", "--results", results, name);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);

    const result = JSON.parse(readFileSync(join(results, `${name}.json`), "utf8")) as Result;
    expect(result.schema).toBe("cfn.bench/1");
    expect(result.name).toBe(name);
    expect(result.sizes.smoke).toBe(true);
    expect(result.claims.length).toBeGreaterThan(0);
    expect(result.commands.length).toBeGreaterThan(0);
    expect(result.machine.cores).toBeGreaterThan(0);
    expect(result.checks.filter((check) => !check.ok)).toEqual([]);
    if (result.left_out.length === 0) expect(result.rows.length).toBeGreaterThan(0);
    for (const row of result.rows) {
      expect(row.samples.length, row.what).toBeGreaterThan(0);
      expect(row.samples.every(isFigure), `${row.what}: ${row.samples}`).toBe(true);
    }
    expect(readdirSync(results).filter((file) => !file.endsWith(".json"))).toEqual([]);
    expect(ofBench().filter((each) => !before.has(each))).toEqual([]);
  }, 120_000);
}

test("a benchmark that does not exist is refused with the names of those that do", async () => {
  const ran = await bench("--smoke", "--results", join(results, "none"), "swam");
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toContain("swarm, baseline, bus");
  expect(existsSync(join(results, "none"))).toBe(false);
});
