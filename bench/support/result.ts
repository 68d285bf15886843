/** What a benchmark is and what it leaves in `bench/results/<name>.json`. Field names are the file's, hence snake_case. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { figure, median, quantile } from "./stats.ts";

/** The claim that a row carries, on its median unless it says otherwise. */
export type Target = { readonly most: number } | { readonly least: number };

export interface Row {
  readonly what: string;
  readonly unit: string;
  /** Raw, in the order taken. One per round; of single messages, each round's median or quantile is a sample. */
  readonly samples: readonly number[];
  readonly target?: Target;
  /** Which figure of the samples the target is held against. Default: the median. */
  readonly judged_by?: "median" | "max";
}

/** What the benchmark found out about its own work: a throughput of lost messages is none. */
export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly seen: string;
}

export interface Outcome {
  readonly rows: readonly Row[];
  readonly checks: readonly Check[];
  /** Rows that are missing here, and why. */
  readonly left_out: readonly string[];
}

export interface Sizes {
  readonly smoke: boolean;
  readonly rounds: number;
  /** Agents of the swarms that are measured. */
  readonly agents: readonly number[];
  /** Messages of one round. */
  readonly messages: number;
  /** Task lines on stdin. */
  readonly lines: number;
}

export interface Bench {
  readonly name: string;
  readonly claims: readonly string[];
  /** The commands that are timed, as a person would type them. */
  readonly commands: readonly string[];
  run(sizes: Sizes): Promise<Outcome>;
}

export interface Result extends Outcome {
  readonly schema: "cfn.bench/1";
  readonly name: string;
  readonly claims: readonly string[];
  readonly commands: readonly string[];
  readonly taken_at: string;
  readonly sizes: Sizes;
  readonly machine: Machine;
  /** See `stolenSince`: at more than a few hundredths, times of this result say more about the machine's neighbours. */
  readonly stolen?: number;
}

/** What the machine was like meanwhile. */
export const stateText = ({ machine, stolen }: Result): string =>
  `load before ${machine.load_before}${stolen === undefined ? "" : `, ${figure(stolen * 100)} % of the processors stolen by the host`}`;

/** The figure that is compared with the target. */
function judged(row: Row): number {
  return row.judged_by === "max" ? Math.max(...row.samples) : median(row.samples);
}

/** Whether a row meets its target; undefined if it has none. */
export function meets(row: Row): boolean | undefined {
  if (row.target === undefined) return undefined;
  return "most" in row.target ? judged(row) <= row.target.most : judged(row) >= row.target.least;
}

/** One line of text per row: median (min–max), target, met or missed. */
export function rowText(row: Row): string {
  const middle = figure(median(row.samples));
  const spread =
    row.samples.length > 1 ? ` (${figure(Math.min(...row.samples))}–${figure(quantile(row.samples, 1))})` : "";
  return `${middle}${spread} ${row.unit}`;
}

export function targetText(row: Row): string {
  if (row.target === undefined) return "";
  const bound = "most" in row.target ? `≤ ${figure(row.target.most)}` : `≥ ${figure(row.target.least)}`;
  return `${bound} ${row.unit}${row.judged_by === "max" ? " (max)" : ""}`;
}

/** Writes `<dir>/<name>.json` whole, by rename. Returns its path. */
export function writeResult(dir: string, result: Result): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${result.name}.json`);
  writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(result, undefined, 1)}\n`);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}
