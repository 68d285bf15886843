/** The progress line. Pure. */
import type { TaskCounts } from "./decide.ts";

export interface ProgressView {
  readonly counts: TaskCounts;
  /** Undefined while the task list has not been read to its end. */
  readonly total: number | undefined;
  readonly active: number;
  /** How many of the results an earlier execution of the run had: they say nothing about its speed. */
  readonly earlier: number;
  readonly elapsedMs: number;
  /** What tasks wait for that could start otherwise. */
  readonly waitsFor?: string | undefined;
}

export function progressText({ counts, total, active, earlier, elapsedMs, waitsFor }: ProgressView): string {
  const unsuccessful = counts.failed + counts.timed_out + counts.cancelled;
  const done = counts.completed + unsuccessful;
  const perSecond = elapsedMs > 0 ? ((done - earlier) * 1000) / elapsedMs : 0;
  const parts = [`${done}${total === undefined ? "" : `/${total}`} done`];
  if (unsuccessful > 0) parts.push(`${unsuccessful} not successful`);
  parts.push(`${active} active`, `${perSecond.toFixed(perSecond < 10 ? 1 : 0)}/s`);
  if (total !== undefined && done > earlier && done < total) parts.push(`ETA ${clock((total - done) / perSecond)}`);
  if (waitsFor !== undefined) parts.push(`waits for ${waitsFor}`);
  return parts.join(" · ");
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
