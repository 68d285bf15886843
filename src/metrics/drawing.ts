/** Figures drawn in characters: tables, bars, a curve. Pure. */
import type { LatencyCounts } from "../message/latency.ts";

/** Columns that are figures are aligned to the right; the first is a name, unless told otherwise. Each line ends with a newline. */
export function columns(rows: readonly (readonly string[])[], names: readonly number[] = [0]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => Bun.stringWidth(row[column] as string))),
  );
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const space = " ".repeat((widths[column] as number) - Bun.stringWidth(cell));
        return names.includes(column) ? cell + space : space + cell;
      });
      return `${cells.join("  ").trimEnd()}\n`;
    })
    .join("");
}

/** 0.123 ms, 12.3 ms, 1.23 s, 2 min 5 s: three digits, in the unit that a person would choose. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${three(ms)} ms`;
  if (ms < 120_000) return `${three(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${three(bytes / 1024 ** unit)} ${units[unit]}`;
}

/** Rounded down: what is not quite all is never shown as 100 %. */
export const percent = (share: number): string => `${Math.floor(share * 10_000) / 100} %`;

const three = (value: number): string =>
  value >= 100 || value === 0 ? `${Math.round(value)}` : `${Number(value.toPrecision(3))}`;

const BAR_CHARS = 40;
const EIGHTHS = " ▏▎▍▌▋▊▉█";
/** A row for each of these times a power of ten. */
const STEPS = [1, 1.5, 2, 3, 5, 7];
const ROWS_MOST = 16;

/** A row per range of durations, from the shortest to the longest; nothing where there are none. */
export function histogramText(counts: LatencyCounts, blocks: boolean): string {
  if (counts.total === 0) return "";
  const rows = rangesOf(counts);
  const most = Math.max(...rows.map(({ count }) => count));
  return columns(
    rows.map(({ upTo, count }) => [`≤ ${durationText(upTo)}`, `${count}`, bar(count / most, blocks)]),
    [2],
  ).replaceAll("≤", blocks ? "≤" : "<=");
}

interface Range {
  readonly upTo: number;
  readonly count: number;
}

/** As many as there are between the shortest and the longest, joined two by two until they fit a screen. */
function rangesOf(counts: LatencyCounts): Range[] {
  const { max } = counts.quantiles();
  const bounds: number[] = [];
  for (let power = -3; bounds.length === 0 || (bounds.at(-1) as number) < max; power++)
    for (const step of STEPS) if ((bounds.at(-1) ?? 0) < max) bounds.push(Number(`${step}e${power}`));
  let ranges: Range[] = [];
  let below = 0;
  for (const upTo of bounds) {
    const count = counts.upTo(upTo) - below;
    below += count;
    if (count > 0 || ranges.length > 0) ranges.push({ upTo, count });
  }
  while (ranges.length > ROWS_MOST) ranges = joined(ranges);
  return ranges;
}

function joined(ranges: readonly Range[]): Range[] {
  const pairs: Range[] = [];
  for (let n = ranges.length - 1; n >= 0; n -= 2) {
    const last = ranges[n] as Range;
    pairs.unshift({ upTo: last.upTo, count: last.count + (ranges[n - 1]?.count ?? 0) });
  }
  return pairs;
}

function bar(share: number, blocks: boolean): string {
  const eighths = Math.ceil(share * BAR_CHARS * 8);
  if (!blocks) return "#".repeat(Math.ceil(eighths / 8));
  return (EIGHTHS[8] as string).repeat(eighths >> 3) + (eighths % 8 === 0 ? "" : EIGHTHS[eighths % 8]);
}

const LEVELS = "▁▂▃▄▅▆▇█";

/** A character per value, as high as it is of the largest. */
export function curve(values: readonly number[]): string {
  const most = Math.max(...values);
  return values.map((value) => LEVELS[most > 0 ? Math.min(7, Math.floor((value / most) * 8)) : 0]).join("");
}
