/** What the master leads: one team in this process, or coordinators of their own. The run does not know which. */
import type { TaskPayload } from "../message/protocol.ts";
import type { RunEvent } from "./decide.ts";
import type { DeliveryCounts } from "./tally.ts";

export interface Swarm {
  readonly coordinators: readonly string[];
  /** Coordinators that take tasks say so with a `hello` event. */
  start(): void;
  /** Hands the tasks over; what the bus refuses now is repeated by `turn`. */
  dispatch(coordinator: string, tasks: readonly TaskPayload[]): void;
  /** The agent of this attempt outlived its coordinator: sees it to its end, and reports that like any other. */
  adopt(coordinator: string, task: TaskPayload): void;
  /** Handles a burst of what has arrived. False if there was nothing. */
  turn(): boolean;
  /** Nothing that has not begun may begin. */
  drain(): void;
  /** Ends what runs, TERM first, KILL after the grace; each task under way still gets its result. */
  stop(graceMs: number): void;
  /** When no task is left: ends the coordinators. Resolves when they have ended. */
  end(): Promise<void>;
  readonly mesh: DeliveryCounts;
  readonly hierarchical: DeliveryCounts;
  /** Of the processes beside this one. */
  readonly peakRssBytes: number;
  readonly openFdsMax: number;
}

export interface Failover {
  readonly coordinator: string;
  readonly epoch: number;
  /** `hung`: it was stopped, or its heartbeat stood still, and it was ended for that. */
  readonly cause: "killed" | "hung" | "exited";
  /** When its team had been taken over: Unix seconds. */
  readonly at: number;
  /** Agents that ran on. */
  readonly adopted: number;
  /** Tasks that were given to others. */
  readonly reassigned: number;
}

export interface SwarmEvents {
  readonly onEvent: (event: RunEvent) => void;
  /** Something has arrived: call `turn` soon. */
  readonly onWake: () => void;
  readonly onFailover: (failover: Failover) => void;
  /** `cfn stop`: the run is to end, with this grace or its own. */
  readonly onStop: (graceMs: number | undefined) => void;
  /** Whether one more coordinator would have something to do. */
  readonly wantsTeams: () => boolean;
}

export const noDeliveries: DeliveryCounts = { expected: 0, delivered: 0, duplicates: 0, lost: [], withdrawn: 0 };
