import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { repositoryRoot, runCommand } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";
import { seeded } from "../support/seed.ts";

test("where every third call of the bus is refused for now, each task still runs once and each message counts once", () =>
  withBusBase(async (base) => {
    const { seed } = seeded("a busy bus");
    const fixture = resolve(repositoryRoot, "tests/fixtures/agents/busy.ts");
    const { stdout, stderr, code } = await runCommand([process.execPath, fixture, base, String(seed)]);
    if (code !== 0) throw new Error(`the swarm ended with ${code}: ${stderr}`);
    const { results, calls, refused, ...counted } = JSON.parse(stdout);
    expect(results.toSorted((a: number, b: number) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(counted).toEqual({ expected: 80, delivered: 80, duplicates: 0, lost: [] });
    expect(refused).toBeGreaterThan(calls / 10);
  }));
