/** The run report, schema `cfn.run/1`. */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Quantiles } from "../message/latency.ts";
import type { EndReason, ResultPayload } from "../message/protocol.ts";
import { replaceFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import type { RunState, TaskCounts } from "./decide.ts";
import type { Shape } from "./shape.ts";
import type { Failover, Swarm } from "./swarm.ts";
import { addDeliveries, type DeliveryCounts, deliveryRate } from "./tally.ts";
import type { MessageReport } from "./undelivered.ts";

interface DeliveryReport extends DeliveryCounts {
  /** Delivered over expected, both counted from ids seen by receivers; 1 where nothing was expected. */
  readonly rate: number;
}

interface Failure {
  readonly task_id: string;
  readonly agent_id: string;
  readonly exit_code: number;
  readonly signal: number;
  readonly reason: EndReason;
  readonly detail?: string;
}

interface ReportedAlert {
  readonly alert: string;
  readonly subject: string;
  /** Unix seconds. */
  readonly fired_at: number;
  /** Absent where it held to the end. */
  readonly cleared_at?: number;
}

export interface RunReport {
  readonly schema: "cfn.run/1";
  readonly run_id: string;
  readonly status: "completed" | "failed" | "timed_out" | "interrupted";
  readonly topology: "flat" | "hybrid";
  readonly agents: { readonly masters: number; readonly coordinators: number; readonly workers: number };
  readonly coordination_time_ms: number;
  readonly spawn_time_ms: number;
  readonly tasks: TaskCounts;
  readonly delivery: DeliveryReport;
  readonly levels: { readonly mesh: DeliveryReport; readonly hierarchical: DeliveryReport };
  /** What agents sent each other, and others on this run's bus: counted by the bus. */
  readonly messages: MessageReport;
  readonly latency_ms: { readonly task: Quantiles; readonly result: Quantiles };
  readonly resources: { readonly peak_rss_bytes: number; readonly bus_bytes: number; readonly open_fds_max: number };
  readonly failures: readonly Failure[];
  /** Further ones, of which only the count is kept. */
  readonly failures_omitted: number;
  /** Processes that agents had left behind and that were ended with the run. */
  readonly orphans_ended: number;
  /** Those that could not be: in uninterruptible sleep, or another user's. */
  readonly orphans_left: number;
  /** Coordinators that died, and what became of their teams. */
  readonly failovers: readonly Failover[];
  /** Places in which the run's bus was found damaged, and mended. */
  readonly bus_damaged: number;
  /** Those that fired, in that order. */
  readonly alerts: readonly ReportedAlert[];
  /** Further ones, of which only the count is kept. */
  readonly alerts_omitted: number;
}

/** What a report is made of, beside what stands in it as it is. */
export interface ReportBasis
  extends Pick<RunReport, "run_id" | "messages" | "resources" | "failovers" | "bus_damaged"> {
  readonly shape: Shape;
  readonly state: Pick<RunState, "status" | "counts">;
  readonly swarm: Pick<Swarm, "mesh" | "hierarchical">;
  readonly timing: { readonly spawnMs: number; readonly latency: RunReport["latency_ms"] };
  /** From the start of the run until every task had its result. */
  readonly coordinationMs: number;
  readonly failures: Failures;
  readonly orphans: { readonly ended: number; readonly left: readonly number[] };
}

export function reportOf(facts: ReportBasis): RunReport {
  const { shape, state, swarm, timing, failures, orphans } = facts;
  return {
    schema: "cfn.run/1",
    run_id: facts.run_id,
    status: state.status,
    topology: shape.topology,
    agents: {
      masters: shape.topology === "hybrid" ? 1 : 0,
      coordinators: shape.teams.length,
      workers: shape.workers,
    },
    coordination_time_ms: rounded(facts.coordinationMs),
    spawn_time_ms: rounded(timing.spawnMs),
    tasks: state.counts,
    ...deliveryReports(swarm.mesh, swarm.hierarchical),
    messages: facts.messages,
    latency_ms: timing.latency,
    resources: facts.resources,
    failures: failures.listed,
    failures_omitted: failures.omitted,
    failovers: facts.failovers,
    orphans_ended: orphans.ended,
    orphans_left: orphans.left.length,
    bus_damaged: facts.bus_damaged,
    alerts: [],
    alerts_omitted: 0,
  };
}

/** Milliseconds, to the microsecond. */
const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

const withRate = (counts: DeliveryCounts): DeliveryReport => ({ ...counts, rate: deliveryRate(counts) });

function deliveryReports(mesh: DeliveryCounts, hierarchical: DeliveryCounts): Pick<RunReport, "delivery" | "levels"> {
  return {
    delivery: withRate(addDeliveries([mesh, hierarchical])),
    levels: { mesh: withRate(mesh), hierarchical: withRate(hierarchical) },
  };
}

/** The failures of a run: the first `limits.failuresListed` of them. */
export class Failures {
  readonly listed: Failure[] = [];
  omitted = 0;

  add(result: ResultPayload): void {
    if (this.listed.length >= limits.failuresListed) this.omitted++;
    else {
      const { task_id, agent_id, exit_code, signal, reason, detail } = result;
      this.listed.push({ task_id, agent_id, exit_code, signal, reason, ...(detail === undefined ? {} : { detail }) });
    }
  }
}

/** Whole or not at all, by rename. Throws CfnError("cannot_create"). */
export function writeReport(path: string, report: RunReport): void {
  const wrote = replaceFile(path, `${JSON.stringify(report, null, 2)}\n`, 0o644);
  if (wrote < 0) throw new CfnError("cannot_create", `cannot write the report ${path}: ${errorText(-wrote)}`);
}
