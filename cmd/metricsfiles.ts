/** Where the metrics are that `cfn metrics` was asked for. */
import type { Env } from "../src/bus/directory.ts";
import { journalRoot, listJournals, masterOf, type RunFolder } from "../src/coordinator/journalfolder.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { metricsFolder } from "../src/metrics/events.ts";
import { metricsFiles, partsOf } from "../src/metrics/read.ts";
import { type TrendLine, trendOf } from "../src/metrics/trend.ts";
import { runId, shown } from "./values.ts";

interface FoundMetrics {
  readonly files: readonly (readonly string[])[];
  /** Whether the run goes on; undefined of a file. */
  readonly isAlive: boolean | undefined;
  /** Where the journals of this run and others are; undefined of a file. */
  readonly root: string | undefined;
}

/** What has the form of a run's id is one: a file is named with a slash or a dot. @throws CfnError not_found, usage */
export function findMetrics(wanted: string | undefined, env: Env): FoundMetrics {
  if (wanted !== undefined && runId.read(wanted) === undefined) {
    return { files: [partsOf(wanted)], isAlive: undefined, root: undefined };
  }
  const root = journalRoot(env);
  const folder = choose(root, wanted);
  return { files: metricsFiles(metricsFolder(folder.path)), isAlive: masterOf(folder) !== undefined, root };
}

const isMeasured = ({ path }: RunFolder): boolean => metricsFiles(metricsFolder(path)).length > 0;

function choose(root: string, wanted: string | undefined): RunFolder {
  const all = listJournals(root);
  if (wanted === undefined) {
    const newest = all.find(isMeasured);
    if (newest !== undefined) return newest;
    throw new CfnError(
      "not_found",
      `no metrics of any run below ${root}`,
      "start a run; its metrics stay with its journal",
    );
  }
  const named = all.filter(({ runId: id }) => id.startsWith(wanted));
  const one = named.find(({ runId: id }) => id === wanted) ?? (named.length === 1 ? named[0] : undefined);
  if (one !== undefined && isMeasured(one)) return one;
  if (one !== undefined) {
    throw new CfnError(
      "not_found",
      `the run ${one.runId} has no metrics`,
      "it ran with metrics disabled, or could not write them",
    );
  }
  if (named.length > 1) {
    const ids = named.slice(0, limits.journalsNamed).map(({ runId: id }) => id);
    throw new CfnError("usage", `${shown(wanted)}: ${named.length} runs begin so: ${ids.join(", ")}`, "add letters");
  }
  const kept = `runs are kept for ${limits.journalDays} days; a file is named with its path, as in ./${wanted}`;
  throw new CfnError("not_found", `no run ${shown(wanted)} below ${root}`, kept);
}

/** The last runs that have metrics, oldest first. */
export function trendBelow(root: string, most: number): TrendLine[] {
  const lines: TrendLine[] = [];
  for (const { path, runId: id } of listJournals(root)) {
    if (lines.length >= most) break;
    const line = trendOf(metricsFolder(path), id);
    if (line !== undefined) lines.unshift(line);
  }
  return lines;
}
