/**
 * The life of an agent: SPAWNED (its seat is there, or its task has come and its process has not started yet) → WORKING
 * (the process runs) → COMPLETE (it has ended and its result is known). A seat that gets another task begins again; one that was
 * stopped by itself (`cfn stop --agent`) is STOPPED once nothing runs in it, and stays so. Pure.
 */
import { assert } from "../assert.ts";

export const lifecycleStates = ["SPAWNED", "WORKING", "COMPLETE", "STOPPED"] as const;
export type LifecycleState = (typeof lifecycleStates)[number];

/** Everything that can happen to an agent. */
export const lifecycleEvents = ["assigned", "started", "not_started", "ended", "stopped"] as const;
export type LifecycleEvent = (typeof lifecycleEvents)[number];

const table: Record<LifecycleState, Partial<Record<LifecycleEvent, LifecycleState>>> = {
  SPAWNED: { assigned: "SPAWNED", started: "WORKING", not_started: "COMPLETE", stopped: "STOPPED" },
  WORKING: { ended: "COMPLETE" },
  COMPLETE: { assigned: "SPAWNED", stopped: "STOPPED" },
  STOPPED: { stopped: "STOPPED" },
};

/** The state after `event`. A transition that the table does not hold is a bug of ours: AssertionFailure. */
export function nextState(state: LifecycleState, event: LifecycleEvent): LifecycleState {
  const next = table[state][event];
  assert(next !== undefined, `an agent that is ${state} cannot meet "${event}"`);
  return next;
}
