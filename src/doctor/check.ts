/** What a check says. Checks are pure: facts in, verdict out. */
import { limits } from "../limits.ts";

export type Verdict = "ok" | "warn" | "fail";

export interface Check {
  /** A word for scripts. */
  readonly name: string;
  /** What was found, with its number. */
  readonly figure: string;
  /** `warn`: a run works, and something will be worse than it could be. `fail`: a run is refused, or breaks. */
  readonly verdict: Verdict;
  /** What to do; never without a verdict that asks for it. */
  readonly remedy?: string;
}

export const ok = (name: string, figure: string): Check => ({ name, figure, verdict: "ok" });

export const warn = (name: string, figure: string, remedy: string): Check => ({
  name,
  figure,
  verdict: "warn",
  remedy,
});

export const failed = (name: string, figure: string, remedy: string): Check => ({
  name,
  figure,
  verdict: "fail",
  remedy,
});

/** The worst of them. */
export function verdictOf(checks: readonly Check[]): Verdict {
  for (const verdict of ["fail", "warn"] as const)
    if (checks.some((check) => check.verdict === verdict)) return verdict;
  return "ok";
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** For people, three digits: "62.5 MiB". */
export function bytesText(bytes: number): string {
  if (!Number.isFinite(bytes)) return "unlimited";
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))} ${UNITS[unit]}`;
}

/** "unlimited", or the number. */
export const countText = (count: number): string => (Number.isFinite(count) ? String(count) : "unlimited");

/** Names, the first few of them. */
export function listText(names: readonly string[]): string {
  const shown = names.slice(0, limits.doctorNamed).join(", ");
  return names.length > limits.doctorNamed ? `${shown} and ${names.length - limits.doctorNamed} more` : shown;
}
