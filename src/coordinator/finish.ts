/**
 * The end of a run: what its agents have left behind is ended, what they have not read of each other's messages is taken, and the
 * report is made of what the run has come to.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs, sleepMs } from "../os/clock.ts";
import { endDescendants, hasOthers } from "../os/descendants.ts";
import { reapNow } from "../os/reap.ts";
import { peakRssBytes } from "../os/usage.ts";
import type { RunEnd, RunOptions } from "./contract.ts";
import { type ReportBasis, reportOf } from "./report.ts";
import type { Swarm } from "./swarm.ts";
import { type KeepLines, type MessageReport, noMessages } from "./undelivered.ts";

/** What a run has come to whose coordinators have ended. */
interface Ended extends Pick<ReportBasis, "state" | "timing" | "coordinationMs" | "failures" | "failovers"> {
  readonly swarm: Pick<Swarm, "mesh" | "hierarchical" | "peakRssBytes" | "openFdsMax">;
  readonly peak: { readonly bus: number; readonly fds: number };
  readonly failure: unknown;
  readonly listRead: boolean;
  /** Everything is out that could be printed. */
  readonly isPrinted: boolean;
}

const DYING_MS = 25;

/**
 * Ends what is left of the run but its bus. `keep`: where messages that nobody has read go, undefined where the bus is gone.
 * `look` is called once, when nothing is left: what could not be printed before may be out by then.
 */
export async function finish(options: RunOptions, keep: KeepLines | undefined, look: () => Ended): Promise<RunEnd> {
  const { runId, shape, observers, onWarning, busDamaged } = options;
  const orphans = endOrphans(options);
  const messages = await drainInboxes(options, keep);
  const ended = look();
  const { swarm, peak, failure, listRead, isPrinted } = ended;
  const resources = {
    peak_rss_bytes: peakRssBytes() + swarm.peakRssBytes,
    bus_bytes: peak.bus,
    open_fds_max: Math.max(peak.fds, swarm.openFdsMax),
  };
  const found = { run_id: runId, shape, orphans, messages, resources, bus_damaged: busDamaged() };
  const report = reportOf({ ...ended, ...found });
  for (const observer of observers) observer.ended?.(report);
  if (!isPrinted) {
    const remedy = "cfn run --resume runs them again";
    onWarning(`nobody reads the output: tasks whose output is not out are not recorded; ${remedy}`);
  }
  const finished = listRead && isPrinted && report.tasks.cancelled === 0 && failure === undefined;
  return { report, failure, finished, left: orphans.left };
}

/** Ends every descendant of this process but the guardian and those of observers. */
function endOrphans({ guardian, observers }: RunOptions): ReturnType<typeof endDescendants> {
  const spared = observers.flatMap((observer) => observer.processes?.() ?? []);
  if (guardian.pid > 0) spared.push(guardian.pid);
  awaitDying(spared);
  return endDescendants(limits.endWaitMs, spared);
}

/**
 * What has been killed with its agent takes a moment to die, and is no orphan. Blocks, at most `DYING_MS` and only while
 * there is a child beside the `spared` ones.
 */
function awaitDying(spared: readonly number[]): void {
  for (const until = monotonicMs() + DYING_MS; monotonicMs() < until && hasOthers(spared); ) {
    reapNow();
    sleepMs(1);
  }
}

/** All agents have ended: what they have not read of each other's messages. */
async function drainInboxes(options: RunOptions, keep: KeepLines | undefined): Promise<MessageReport> {
  if (keep === undefined) return noMessages;
  try {
    return await options.drainInboxes(keep);
  } catch (error) {
    // The bus was removed just now, or its space is gone.
    if (!(error instanceof CfnError)) throw error;
    options.onWarning(`messages of this run were not counted: ${error.message}`);
    return noMessages;
  }
}
