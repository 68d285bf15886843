/** What became of one cell of the crash-point matrix. */
import { existsSync, readFileSync } from "node:fs";
import type { CrashPoint } from "../../src/os/fault.ts";
import { type Ended, type Place, type Running, stateOf, waitFor, within } from "./process.ts";

export const faultActions = ["kill", "stop", "nospace"] as const;
/** `full`: as `nospace`, but for good. Not for runs, whose results wait until there is space. */
export type FaultAction = (typeof faultActions)[number] | "full";

export interface Outcome {
  readonly scenario: string;
  readonly point: CrashPoint;
  readonly action: FaultAction;
  /** Whether a process passed the point and acted. */
  readonly reached: boolean;
  /** Exit status of the victim; of the run, where the victim is a coordinator. */
  readonly code: number;
  /** The call that was told ENOSPC, if one came. */
  readonly refused: string | undefined;
  /** Processes that were left when the victim was dead, and ended by the test. */
  readonly left: number;
  readonly problems: readonly string[];
}

/** Documented exit statuses of a process that was refused space: none needed, not available, cannot create, try again. */
export const noSpaceCodes = [0, 69, 73, 75];

/** The fault, and the file that tells of it. */
export interface Injection {
  /** As in CFN_FAULT: the point, behind a command's name and a slash where only that is to act. */
  readonly at: string;
  readonly pass?: number;
  readonly action: FaultAction;
  readonly mark: string;
}

export const environmentOf = ({ at, pass = 1, action, mark }: Injection): Record<string, string> => ({
  CFN_FAULT: `${at}:${action}:${pass}`,
  CFN_FAULT_MARK: mark,
});

const isMarked = ({ mark }: Injection): boolean => existsSync(mark) && readFileSync(mark, "utf8") !== "";

/**
 * Waits until the victim has come to its point and stands still there, if that is its fate; calls `meanwhile`; lets it go on,
 * and waits for its end.
 */
export async function meet(
  victim: Running,
  injection: Injection,
  meanwhile: () => Promise<void>,
): Promise<Ended & { readonly reached: boolean; readonly refused: string | undefined }> {
  await waitFor(`${injection.at}`, () => victim.exit !== undefined || isMarked(injection));
  const reached = isMarked(injection);
  const pid = reached ? Number(readFileSync(injection.mark, "utf8")) : 0;
  if (reached && injection.action === "stop")
    await waitFor(`the stop of process ${pid}`, () => victim.exit !== undefined || /^[Tt]?$/.test(stateOf(pid)));
  await meanwhile();
  if (injection.action === "stop" && /[Tt]/.test(stateOf(pid))) process.kill(pid, "SIGCONT");
  const ended = await within(victim);
  const refused = existsSync(`${injection.mark}.refused`)
    ? readFileSync(`${injection.mark}.refused`, "utf8")
    : undefined;
  return { ...ended, reached, refused };
}

/** What is wrong with an exit status; `more` are those that this victim may have as well. */
export function wrongCode(action: FaultAction, { code, stderr }: Ended, more: readonly number[] = []): string[] {
  const right = action === "kill" ? [137] : action === "stop" ? [0] : noSpaceCodes;
  return [...right, ...more].includes(code) ? [] : [`ended with ${code}: ${stderr.slice(0, 2000)}`];
}

/** Runs one cell in a place of its own. What it throws, and processes that it leaves, are problems as well. */
export async function inPlace(
  place: Place,
  use: () => Promise<Omit<Outcome, "left">>,
  failed: Omit<Outcome, "left" | "problems" | "reached" | "code" | "refused">,
): Promise<Outcome> {
  let outcome: Omit<Outcome, "left">;
  try {
    outcome = await use();
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    outcome = { ...failed, reached: false, code: -1, refused: undefined, problems: [why] };
  }
  const left = await place.clear();
  const leftOver = left.length === 0 ? [] : [`${left.length} processes are left`];
  return { ...outcome, left: left.length, problems: [...outcome.problems, ...leftOver] };
}
