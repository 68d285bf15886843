/** What an observer sees of processes that it did not start. */
import type { RosterEntry } from "../bus/roster.ts";
import { activityOf, isStopped, runMark } from "../os/activity.ts";
import { type ProcessIdentity, processState } from "../os/process.ts";
import type { ProcessFacts } from "./judge.ts";

/**
 * An agent's process. Nothing but a pid says which it is; but as long as its host has not written that it ended, it is not reaped, so
 * its pid can be nobody else's: a process there with other `parents` is not it.
 */
export function lookAtAgent({ pid, sample }: RosterEntry, parents: readonly number[]): ProcessFacts {
  const activity = activityOf(pid);
  if (activity === undefined || !parents.includes(activity.parentPid)) return { seen: "gone" };
  const { state, endedBy, cpuTicks } = activity;
  if (state === "Z" || state === "X") return { seen: "ended", endedBy };
  if (isStopped(state)) {
    const mark = sample?.stoppedSince === undefined ? 0 : runMark(pid);
    return { seen: "stopped", unmoved: mark !== 0 && mark === sample?.mark };
  }
  return { seen: "there", progress: sample !== undefined && cpuTicks !== sample.cpuTicks };
}

/** Whether that very process is there, and stopped. A zombie is not there. */
export function lookAtHost({ pid, startTicks }: ProcessIdentity): {
  readonly alive: boolean;
  readonly stopped: boolean;
} {
  const now = processState(pid);
  const alive = now !== undefined && now.startTicks === startTicks && now.state !== "Z" && now.state !== "X";
  return { alive, stopped: alive && isStopped(now.state) };
}

export function isThere(pid: number): boolean {
  const state = activityOf(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}
