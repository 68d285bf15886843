/** Looking at a run from outside, in a test. */
import { readFileSync } from "node:fs";
import { limits } from "../../src/limits.ts";
import type { HealthReport } from "../../src/observe/reports.ts";
import { listDirectory } from "../../src/os/tree.ts";
import type { Swarm } from "./swarm.ts";

type AgentReport = HealthReport["agents"][number];

/** The directory of the one run on this base; undefined before it is there. */
export const runBusIn = (base: string): string | undefined =>
  listDirectory(base)
    .filter((name) => name.startsWith("run-"))
    .map((name) => `${base}/${name}`)[0];

/**
 * Says on the board of a run that it counts as stopped what was for `ms`: who looks on goes by that, and a test need not wait for ten
 * seconds.
 */
export function countAsStopped(busDir: string, ms: number): void {
  const board = readFileSync(`${busDir}/board`);
  const doubles = new Float64Array(board.buffer, board.byteOffset, board.length / 8);
  const at = doubles.findIndex(
    (value, n) => value === limits.stoppedAfterMs && doubles[n + 1] === limits.stalledAfterMs,
  );
  if (at < 0) throw new Error("the limit is not on the board");
  const value = Buffer.alloc(8);
  value.writeDoubleLE(ms);
  // Only these bytes: the run writes the others meanwhile.
  Bun.spawnSync(["dd", `of=${busDir}/board`, "bs=8", `seek=${at}`, "conv=notrunc", "status=none"], { stdin: value });
}

/** What `cfn health --json` says, with its exit status; undefined while there is no bus. */
export async function healthOf(
  swarm: Swarm,
  id = "",
): Promise<{ report: HealthReport; code: number | null } | undefined> {
  const { stdout, code } = await swarm.shell(`exec "$0" health --json ${id}`);
  return stdout === "" ? undefined : { report: JSON.parse(stdout) as HealthReport, code };
}

/** Asks until it `holds` of an agent; fails after forty seconds with what was said last. */
export async function untilAgent(swarm: Swarm, id: string, holds: (agent: AgentReport) => boolean) {
  let last: unknown;
  for (const end = Date.now() + 40_000; Date.now() < end; ) {
    const health = await healthOf(swarm, id);
    const [agent] = health?.report.agents ?? [];
    if (agent !== undefined && holds(agent)) return { agent, code: health?.code };
    last = agent;
  }
  throw new Error(`not within forty seconds; at last ${JSON.stringify(last)}`);
}
