/** The binary under test, on a bus directory of its own that is gone afterwards. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Ended, succeed } from "./processes.ts";

export const root = resolve(import.meta.dir, "../..");

/** Absolute path of the binary: `CFN_BENCH_BINARY`, else dist/cfn. Throws if it is not built. */
export function cfnBinary(): string {
  const path = resolve(process.env["CFN_BENCH_BINARY"] ?? join(root, "dist/cfn"));
  if (existsSync(path)) return path;
  throw new Error(`${path} is not there: build it with npm run build, or name another in CFN_BENCH_BINARY`);
}

export interface Place {
  /** For files of the bench. */
  readonly dir: string;
  /** CFN_MESSAGE_BASE_DIR of what runs here. */
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const prefix = "/dev/shm/cfn-bench-";

/** Removes the directories of benchmarks that were killed before they could. */
function sweepDead(): void {
  for (const name of readdirSync("/dev/shm")) {
    const pid = /^cfn-bench-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join("/dev/shm", name), { recursive: true, force: true });
  }
}

/** Calls `work` with a fresh directory on /dev/shm and an environment without any CFN_ variable but the base's. */
export async function inPlace<T>(work: (place: Place) => Promise<T>): Promise<T> {
  sweepDead();
  const dir = mkdtempSync(`${prefix}${process.pid}-`);
  const foreign = Object.entries(process.env).filter(([key]) => !key.startsWith("CFN_"));
  const base = join(dir, "bus");
  // On the disk, as a user's: in memory a journal would cost less.
  const state = mkdtempSync(join(tmpdir(), "cfn-bench-state-"));
  const env = { ...Object.fromEntries(foreign), CFN_MESSAGE_BASE_DIR: base, XDG_STATE_HOME: state };
  try {
    return await work({ dir, base, env });
  } finally {
    for (const made of [dir, state]) rmSync(made, { recursive: true, force: true });
  }
}

/** The part of a run report that the benchmarks read. */
export interface Report {
  readonly status: string;
  readonly coordination_time_ms: number;
  readonly spawn_time_ms: number;
  readonly tasks: { readonly total: number; readonly completed: number };
  readonly delivery: {
    readonly expected: number;
    readonly delivered: number;
    readonly rate: number;
    readonly duplicates: number;
  };
}

/** One `cfn run`, with its report. Throws unless it exits with 0. */
export async function runSwarm(
  place: Place,
  options: readonly string[],
  command: readonly string[],
): Promise<{ ended: Ended; report: Report }> {
  const reportPath = join(place.dir, "report.json");
  rmSync(reportPath, { force: true });
  const argv = [cfnBinary(), "run", ...options, "--report", reportPath, "--", ...command];
  const ended = await succeed({ argv, env: place.env });
  return { ended, report: JSON.parse(readFileSync(reportPath, "utf8")) as Report };
}

/** Bytes that the files below `dir` take, symbolic links not followed; 0 if it is not there. */
export function bytesBelow(dir: string): number {
  let bytes = 0;
  let names: string[];
  try {
    names = readdirSync(dir, { recursive: true }) as string[];
  } catch {
    return 0; // Not made yet, or removed already.
  }
  for (const name of names) {
    const stat = lstatSync(join(dir, name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.blocks * 512;
  }
  return bytes;
}
