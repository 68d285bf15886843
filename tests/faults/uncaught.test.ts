/** A bug in a host of agents: an error thrown where nobody expects one, by the fault build. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildBinary } from "../../scripts/build.ts";
import type { CrashPoint } from "../../src/os/fault.ts";
import { Place, within } from "./process.ts";
import { aftermath } from "./runs.ts";

const sleeper = ["--", "sh", "-c", 'test "$CFN_AGENT_ID" = w1 || sleep 30'];
const flat = ["run", "--agents", "2", ...sleeper];
const hybrid = ["run", "--coordinators", "2", "--agents", "4", "--", "true"];

const bugs: readonly [at: `${string}/${CrashPoint}`, args: readonly string[], code: number][] = [
  ["run/exit.seen", flat, 70],
  ["run/result.sent", flat, 70],
  ["run/mail.handled", flat, 70],
  ["run/mail.handled", hybrid, 70],
  ["agent/exit.seen", ["agent", "only", "--", "true"], 70],
];

test("a bug of ours ends a host with 70 and its agents with it, instead of leaving it waiting for ever", async () => {
  const work = mkdtempSync(`${tmpdir()}/cfn-uncaught-`);
  try {
    await buildBinary(`${work}/cfn`, undefined, undefined, true);
    for (const [at, args, status] of bugs) {
      const place = new Place();
      try {
        const env = { CFN_FAULT: `${at}:throw`, CFN_FAULT_MARK: `${place.files}/mark` };
        const { code, stderr } = await within(place.start([`${work}/cfn`, ...args], { env }));
        expect(stderr, at).toContain(`a fault at ${at.split("/")[1]}`);
        expect(code, at).toBe(status);
        expect(await aftermath(place, args[0] === "agent" ? "agent" : "run", false), at).toEqual([]);
        expect(place.processes(), at).toEqual([]);
      } finally {
        await place.clear();
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}, 60_000);
