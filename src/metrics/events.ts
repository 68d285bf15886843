/**
 * What a metrics file holds, schema `cfn.metrics/1`: lines of JSON, each one event. A file has one writer: `master.jsonl` the
 * process of `cfn run`, `<coordinator>.<epoch>.jsonl` a coordinator's process. All lie in `metrics/` of the run's journal folder.
 *
 *     {"schema":"cfn.metrics/1","run_id":"…","writer":"master","next":1}        the first line of each file
 *     {"t":1768900000.123,"n":1,"event":"run_started",…}                        t: Unix seconds
 *
 * `n` rises by one from event to event of a writer, over rotations and resumptions too: a number that is missing is a loss. `next`
 * is that of the first event of a file. Field names are the files', hence snake_case; times carry their unit.
 */
import type { EndReason } from "../message/protocol.ts";
import type { Durations } from "./histogram.ts";

export const metricsSchema = "cfn.metrics/1";
export const masterWriter = "master";

/** Of a run, by its journal folder. */
export const metricsFolder = (journal: string): string => `${journal}/metrics`;

export interface MetricsHeader {
  readonly schema: typeof metricsSchema;
  readonly run_id: string;
  readonly writer: string;
  readonly next: number;
}

interface Stamped {
  /** Unix seconds. */
  readonly t: number;
  readonly n: number;
}

/** The run begins; again where it is resumed. */
export interface RunStartedEvent extends Stamped {
  readonly event: "run_started";
  readonly version: string;
  readonly pid: number;
  readonly topology: "flat" | "hybrid";
  readonly coordinators: number;
  readonly workers: number;
  /** How many tasks had their result already. */
  readonly earlier: number;
}

export interface CoordinatorReadyEvent extends Stamped {
  readonly event: "coordinator_ready";
  readonly coordinator: string;
  /** How many it leads, where it says so. */
  readonly workers?: number;
}

/** An attempt at a task has its result. */
export interface AttemptEvent extends Stamped {
  readonly event: "attempt";
  readonly task_id: string;
  readonly seq: number;
  readonly attempt: number;
  /** "" where none had it. */
  readonly agent: string;
  readonly team: string;
  readonly reason: EndReason;
  readonly exit_code: number;
  /** Published by the master until its process began; absent where it never began or both ends are not known. */
  readonly queue_ms?: number | undefined;
  /** How long its process ran; absent where it never began. */
  readonly run_ms?: number | undefined;
  /** Its process ended until its result was counted. */
  readonly result_ms?: number | undefined;
}

export interface FailoverEvent extends Stamped {
  readonly event: "failover";
  readonly coordinator: string;
  readonly epoch: number;
  readonly cause: string;
  readonly adopted: number;
  readonly reassigned: number;
}

/** A threshold was crossed, or is kept again. */
export interface AlertLine extends Stamped {
  readonly event: "alert";
  readonly alert: string;
  /** Whose inbox, which agent; "run", "bus" or "cfn" for the others. */
  readonly subject: string;
  readonly state: "fired" | "cleared";
  readonly value: number;
  readonly limit: number;
}

/** What the writing process uses. */
export interface ProcessFigures {
  readonly rss_bytes: number;
  readonly open_fds: number;
  /** User and system, since its start. */
  readonly cpu_ms: number;
  /** Of it for these metrics, until this event was made. */
  readonly metrics_ms?: number;
}

/** Of the bus: waits for locks are the writing process's; what is everybody's, the master alone writes. */
export interface BusSample {
  readonly lock_waits: number;
  readonly lock_wait_ms: number;
  readonly lock_wait_most_ms: number;
  /** Messages accepted since the bus was made. */
  readonly accepted?: number;
  readonly refused_inbox_full?: number;
  readonly refused_bus_full?: number;
  readonly refused_rate?: number;
  /** Messages accepted and not yet acknowledged, in all inboxes, and in the one that is nearest to its bound. */
  readonly inbox_depth?: number;
  readonly inbox_depth_most?: number;
}

/** Now and then. `bus` where it could be asked. */
export interface SampleEvent extends Stamped {
  readonly event: "sample";
  /** Tasks given out that have no result. */
  readonly active: number;
  readonly process: ProcessFigures;
  readonly bus?: BusSample;
  /** What the bus occupies. */
  readonly bus_bytes?: number | undefined;
  /** Tasks with a result, and how many a second since the last sample. */
  readonly done?: number;
  readonly tasks_per_second?: number;
}

export interface DeliveryTotals {
  readonly expected: number;
  readonly delivered: number;
  readonly rate: number;
  readonly duplicates: number;
  readonly lost: number;
  readonly withdrawn: number;
}

/** What a coordinator counted at its own receiving end. */
export interface CoordinatorEndedEvent extends Stamped {
  readonly event: "coordinator_ended";
  /** 0: in order; 77: another had taken its place; 128 and a signal: the master was gone. */
  readonly exit_status: number;
  readonly hierarchical: DeliveryTotals;
  readonly process: ProcessFigures;
  readonly bus?: BusSample;
}

export interface PhaseQuantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** What the run's report says. */
export interface RunTotals {
  readonly status: "completed" | "failed" | "timed_out" | "interrupted";
  readonly topology: "flat" | "hybrid";
  readonly agents: { readonly masters: number; readonly coordinators: number; readonly workers: number };
  readonly coordination_time_ms: number;
  readonly spawn_time_ms: number;
  readonly tasks: {
    readonly total: number;
    readonly completed: number;
    readonly failed: number;
    readonly timed_out: number;
    readonly cancelled: number;
    readonly retried: number;
  };
  readonly latency_ms: { readonly task: PhaseQuantiles; readonly result: PhaseQuantiles };
  readonly resources: {
    readonly peak_rss_bytes: number;
    readonly bus_bytes: number;
    readonly open_fds_max: number;
  };
}

export interface RunEndedEvent extends Stamped, RunTotals {
  readonly event: "run_ended";
  /** As in `run_started`. */
  readonly earlier: number;
  readonly delivery: DeliveryTotals;
  readonly levels: { readonly mesh: DeliveryTotals; readonly hierarchical: DeliveryTotals };
  readonly failovers: number;
  /** The most tasks that were seen to be under way at once. */
  readonly active_most: number;
  /** Of this process. */
  readonly process: ProcessFigures;
  readonly bus?: BusSample;
  /** By the metric's name; of all attempts of this execution of the run. */
  readonly histograms: Readonly<Record<string, Durations>>;
}

export type MetricsEvent =
  | RunStartedEvent
  | CoordinatorReadyEvent
  | AttemptEvent
  | FailoverEvent
  | AlertLine
  | SampleEvent
  | CoordinatorEndedEvent
  | RunEndedEvent;
