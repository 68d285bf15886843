/**
 * Who looks on at a run: the progress line, metrics, alerts, the board. An observer neither throws nor waits: the run does not
 * depend on it.
 */
import type { ResultPayload } from "../message/protocol.ts";
import type { ProgressView } from "./progress.ts";
import type { RunReport } from "./report.ts";
import type { Failover } from "./swarm.ts";
import type { DeliveryCounts } from "./tally.ts";

/** Milliseconds that a task waited on its way. */
export interface Waits {
  /** Published by the master until its process began. */
  readonly task: number;
  /** Its process ended until its result was counted. */
  readonly result: number;
}

/** How far a run is. */
export interface RunLook extends ProgressView {
  /** No further task is read: somebody has ended the run, or a failure has. */
  readonly ending: boolean;
  /** Every task has its result; what is left is to end. */
  readonly done: boolean;
  /** Between the master and its coordinators; nothing in a flat swarm. */
  readonly mesh: DeliveryCounts;
  /** Between coordinators and workers; in a hybrid swarm only what coordinators that have ended have counted. */
  readonly hierarchical: DeliveryCounts;
}

export interface RunObserver {
  /** A coordinator takes tasks, for so many workers where it says so. */
  ready?(coordinator: string, workers: number | undefined): void;
  /** An attempt has its result; `waits` where both clocks are known. Called for each one: it must cost microseconds. */
  attempt?(result: ResultPayload, waits: Waits | undefined): void;
  failover?(failover: Failover): void;
  /** Each `limits.pollMs`, and once when every task has its result. */
  look?(look: RunLook): void;
  /** The run has ended and nothing of it is left but its bus. */
  ended?(report: RunReport): void;
  /** Its own processes: the end of the run leaves them alone, and they are nobody's orphans. */
  processes?(): readonly number[];
}
