/**
 * What ends all of a chaos that was killed: processes that it had stopped would else stay stopped for ever, and their run with
 * them. A process of its own, which waits for the death of its parent.
 */
import { destroyBus } from "../bus/removal.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs, sleepMs } from "../os/clock.ts";
import type { EnvironmentBlock } from "../os/environment.ts";
import { watchChild } from "../os/reap.ts";
import { spawnProgram } from "../os/spawn.ts";
import { removeTree } from "../os/tree.ts";
import { endProcesses, markedProcesses } from "./orphans.ts";
import type { ChaosPlace } from "./place.ts";

/** Starts the guard of this process; returns its pid. Throws CfnError("unavailable"). */
export function startGuard(program: string, environment: EnvironmentBlock, place: ChaosPlace): number {
  const { mark, ledger, dir, kept } = place;
  const spawned = spawnProgram({
    argv: [program, "chaos-guard", mark, String(process.pid), ledger, dir, kept ? "kept" : "removed"],
    environment,
    stdin: "/dev/null",
    stdout: "/dev/null",
    stderr: "/dev/null",
    group: "session",
  });
  if (spawned.status !== "started") throw new CfnError("unavailable", `cannot start the guard: ${spawned.detail}`);
  watchChild(spawned.pid, () => undefined, false);
  return spawned.pid;
}

/** Kills whoever carries the mark, those that come up meanwhile too, and removes what they worked on. Blocks. */
export function endMarked({ mark, ledger, dir, kept }: Omit<ChaosPlace, "base">): void {
  const until = monotonicMs() + limits.chaosMasterGoneMs;
  for (let found = markedProcesses(mark); found.length > 0; found = markedProcesses(mark)) {
    endProcesses(found, limits.endWaitMs);
    if (monotonicMs() >= until) break;
    sleepMs(1);
  }
  destroyBus(ledger);
  if (!kept) removeTree(dir);
}
