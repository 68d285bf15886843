/** Nobody is struck but processes of our own, and only as long as they are the ones that were meant. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { evidencePaths } from "../../src/chaos/evidence.ts";
import { coordinatorsOf, identityOf, isOurs, LivingAgents } from "../../src/chaos/victims.ts";
import { withOpenBus } from "../support/open-bus.ts";

/** What `pick` gives where these agents have written that they started. */
function picked(
  lives: readonly { readonly pid: number; readonly startTicks: number }[],
  more = "",
  left?: (one: { readonly pid: number }) => boolean,
): unknown {
  const dir = mkdtempSync(`${tmpdir()}/cfn-victims-`);
  try {
    const lines = lives.map(({ pid, startTicks }, n) => `\nstart t${n + 1} 1 ${pid} ${startTicks} c1-w1 ;\n`);
    writeFileSync(evidencePaths.agents(dir), lines.join("") + more);
    return new LivingAgents(dir).pick(0.5, left);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const ticksOf = (pid: number): number => identityOf(pid)?.startTicks ?? 0;

describe("the victim of a strike on agents", () => {
  test("is a living descendant that wrote down that it started", async () => {
    const child = Bun.spawn(["sleep", "60"]);
    const grandparent = Bun.spawn(["sh", "-c", "sleep 60 & echo $!; wait"], { stdout: "pipe" });
    const { value } = await grandparent.stdout.getReader().read();
    const grandchild = Number(new TextDecoder().decode(value));
    try {
      for (const pid of [child.pid, grandchild]) {
        expect(picked([{ pid, startTicks: ticksOf(pid) }])).toEqual({ pid, startTicks: ticksOf(pid), name: "t1" });
        expect(picked([{ pid, startTicks: ticksOf(pid) }], "", (one) => one.pid === pid)).toBeUndefined();
        const ended = `\nend t1 1 ${pid} ${ticksOf(pid)} ;\n`;
        expect(picked([{ pid, startTicks: ticksOf(pid) }], ended)).toBeUndefined();
        expect(picked([{ pid, startTicks: ticksOf(pid) - 1 }])).toBeUndefined();
      }
    } finally {
      process.kill(grandchild, "SIGKILL");
      child.kill("SIGKILL");
    }
    await Promise.all([child.exited, grandparent.exited]);
    expect(picked([{ pid: child.pid, startTicks: 1 }])).toBeUndefined();
  });

  test("is no other process, whatever the evidence says: not the parent, not this one, not the first", () => {
    for (const pid of [process.ppid, process.pid, 1]) {
      expect(isOurs(pid)).toBe(false);
      expect(picked([{ pid, startTicks: ticksOf(pid) }])).toBeUndefined();
    }
  });
});

describe("the coordinators of a run", () => {
  test("are descendants of its master: who else registers as one is left alone", () =>
    withOpenBus((bus, dir) => {
      bus.register({ id: "c1", role: "coordinator" });
      bus.register({ id: "w1", role: "worker" });
      expect(coordinatorsOf(dir, process.pid)).toEqual([]);
      const { pid, startTicks } = { pid: process.pid, startTicks: ticksOf(process.pid) };
      expect(coordinatorsOf(dir, process.ppid)).toEqual([{ pid, startTicks, name: "c1" }]);
    }));

  test("are none where there is no bus", () => {
    expect(coordinatorsOf("/dev/shm/no-such-bus", process.pid)).toEqual([]);
  });
});
