/** What a run left on disk, read for the checkers. */
import { readText } from "../os/file.ts";
import { listDirectory } from "../os/tree.ts";
import type { CoordinatorEnd } from "./recovery.ts";
import type { ResultFolder } from "./results.ts";

/** The files of the run, below the directory of evidence. */
export const runPaths = {
  tasks: (dir: string) => `${dir}/tasks.jsonl`,
  script: (dir: string) => `${dir}/agent.sh`,
  joblog: (dir: string) => `${dir}/joblog`,
  results: (dir: string) => `${dir}/results`,
  report: (dir: string) => `${dir}/report.json`,
  /** What was found, as `--json` prints it. */
  outcome: (dir: string) => `${dir}/outcome.json`,
  /** XDG_STATE_HOME of the run: its journal. */
  state: (dir: string) => `${dir}/state`,
} as const;

const JOBLOG_BYTES_MOST = 1 << 30;

export const readJoblog = (dir: string): string => readText(runPaths.joblog(dir), JOBLOG_BYTES_MOST) ?? "";

/** GNU parallel's folders. */
export function readFolders(dir: string): ResultFolder[] {
  const root = `${runPaths.results(dir)}/1`;
  return listDirectory(root).map((name) => ({
    name,
    seq: Number(readText(`${root}/${name}/seq`)?.trim() ?? Number.NaN),
    stdout: readText(`${root}/${name}/stdout`) ?? "",
  }));
}

/** Of a run report; what an older version does not write is absent. */
export interface ReportFacts {
  readonly status: string;
  readonly deliveryRate: number | null;
  readonly failovers: readonly (CoordinatorEnd & { readonly adopted: number; readonly reassigned: number })[];
  readonly orphansEnded: number;
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
const asNumber = (value: unknown): number => (typeof value === "number" ? value : 0);

/** Pure. */
export function reportFacts(text: string | undefined): ReportFacts {
  let report: Readonly<Record<string, unknown>> = {};
  try {
    report = asObject(JSON.parse(text ?? "{}"));
  } catch {
    report = { status: "unreadable" }; // A report is written whole: a violation will be seen by its status.
  }
  const { status, delivery, failovers, orphans_ended } = report;
  const rate = asObject(delivery)["rate"];
  const listed = Array.isArray(failovers) ? failovers.map(asObject) : [];
  return {
    status: typeof status === "string" ? status : "none",
    deliveryRate: typeof rate === "number" ? rate : null,
    failovers: listed.map(({ coordinator, cause, at, adopted, reassigned }) => ({
      coordinator: String(coordinator),
      cause: String(cause),
      at: asNumber(at),
      adopted: asNumber(adopted),
      reassigned: asNumber(reassigned),
    })),
    orphansEnded: asNumber(orphans_ended),
  };
}

export const readReport = (dir: string): ReportFacts => reportFacts(readText(runPaths.report(dir), 1 << 26));
