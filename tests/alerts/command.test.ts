/** `alert.command`, run by real processes. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { limits } from "../../src/limits.ts";
import type { Outcome, Scenario } from "../fixtures/alerts/command.ts";
import { repositoryRoot, runCommand } from "../support/binary.ts";
import { linesOf } from "../support/swarm.ts";

const fixture = resolve(repositoryRoot, "tests/fixtures/alerts/command.ts");

interface Seen extends Outcome {
  /** What the commands wrote into $OUT, line by line. */
  readonly lines: readonly string[];
}

async function run(scenario: (out: string) => Scenario): Promise<Seen> {
  const directory = mkdtempSync(`${tmpdir()}/cfn-alert-`);
  const out = `${directory}/out`;
  try {
    const { code, stdout, stderr } = await runCommand([process.execPath, fixture], {
      stdin: JSON.stringify(scenario(out)),
      env: { OUT: out },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return { ...(JSON.parse(stdout) as Outcome), lines: existsSync(out) ? linesOf(readFileSync(out, "utf8")) : [] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("alert.command", () => {
  test.each([
    ["a text for the shell", 'cat >> "$OUT"'],
    ["a program and its arguments", ["sh", "-c", 'cat >> "$OUT"; echo noise; echo more >&2']],
  ])("as %s gets each alert as a line of JSON on stdin", async (_, command) => {
    const seen = await run(() => ({ command, timeoutMs: 5000, alerts: 3 }));
    expect(seen).toMatchObject({ warnings: [], dropped: 0, left: 0 });
    const events = seen.lines.map((line) => JSON.parse(line) as { subject: string });
    expect(events.map(({ subject }) => subject)).toEqual(["w0", "w1", "w2"]);
    expect(events[0]).toEqual({
      schema: "cfn.alert/1",
      alert: "inbox_full",
      state: "fired",
      subject: "w0",
      value: 0.9,
      limit: 0.8,
      unit: "ratio",
      message: "the inbox of 'w' holds \"900\"\n",
      at: 1.5,
      run_id: "r1",
    } as unknown as (typeof events)[0]);
  });

  test("is one process at a time for a thousand alerts, and not more than its bound in all", async () => {
    const seen = await run(() => ({ command: 'exec sh -c "echo x >> $OUT"', timeoutMs: 5000, alerts: 1000 }));
    expect(seen).toMatchObject({ most: 1, left: 0 });
    expect(seen.lines.length).toBeWithin(1, limits.alertCommands + 1);
    expect(seen.lines.length + seen.dropped).toBe(1000);
    expect(seen.warnings).toEqual([expect.stringContaining("further alerts do not run alert.command")]);
  });

  test("that hangs, whatever it ignores, is ended with all its group, and said once", async () => {
    const command = 'echo x >> "$OUT"; trap "" TERM INT HUP; sleep 1000 & sleep 1000; sleep 1000';
    const seen = await run(() => ({ command, timeoutMs: 200, alerts: 3 }));
    // At the end of the run all of them together have the time of one.
    expect(seen).toMatchObject({ left: 0, dropped: 0 });
    expect(seen.lines).toEqual(["x"]);
    expect(seen.warnings.filter((text) => text.includes("did not end in time (200ms)"))).toHaveLength(1);
    expect(seen.warnings.filter((text) => text.includes("2 alerts did not run"))).toHaveLength(1);
  });

  test.each([
    ["fails", "exit 3", "it ended with 3"],
    ["is not there", ["/no/such/program"], "command not found: /no/such/program"],
  ])("that %s is said once", async (_, command, why) => {
    const seen = await run(() => ({ command, timeoutMs: 5000, alerts: 3 }));
    expect(seen.warnings).toEqual([expect.stringContaining(why)]);
    expect(seen.left).toBe(0);
  });

  test("is cut at once where somebody is in a hurry", async () => {
    const seen = await run((out) => ({
      command: 'trap "" TERM; echo x > "$OUT"; sleep 1000',
      timeoutMs: 600_000,
      alerts: 2,
      cutAt: out,
    }));
    expect(seen).toMatchObject({ left: 0, lines: ["x"], warnings: [] });
  });
});
