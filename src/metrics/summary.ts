/** The analysis as `cfn metrics --json` gives it, and as the page and the families are made from it. Pure. */
import { limits } from "../limits.ts";
import type { MetricsAnalysis } from "./analysis.ts";
import type { AlertLine, DeliveryTotals, PhaseQuantiles, RunEndedEvent } from "./events.ts";
import { type Durations, durationMetrics } from "./histogram.ts";
import { type AgentTimes, type PhaseCounts, phases } from "./phases.ts";
import type { MetricsReading, ReadingFaults } from "./read.ts";
import { type TrendLine, throughput } from "./trend.ts";

interface PhaseSummary extends PhaseQuantiles {
  readonly count: number;
}

type PhaseSummaries = Readonly<Record<"queue_ms" | "run_ms" | "result_ms", PhaseSummary>>;

interface TeamSummary extends PhaseSummaries {
  readonly team: string;
  readonly attempts: number;
  readonly unsuccessful: number;
}

/** `alive`: somebody still writes. `killed`: nobody does, and there is no end. `unknown`: of a file by itself. */
export type MeasuredState = RunEndedEvent["status"] | "alive" | "killed" | "unknown";

export interface MetricsSummary {
  readonly schema: "cfn.metrics.analysis/1";
  readonly run_id: string | null;
  readonly state: MeasuredState;
  readonly version: string | null;
  readonly topology: string | null;
  readonly coordinators: number | null;
  readonly workers: number | null;
  /** Unix seconds; of the first execution where the run was resumed. */
  readonly started_at: number | null;
  readonly executions: number;
  /** Of the last execution, as its report has them; null before its end. */
  readonly coordination_time_ms: number | null;
  readonly spawn_time_ms: number | null;
  readonly tasks_per_second: number | null;
  readonly tasks: RunEndedEvent["tasks"] | null;
  readonly delivery: DeliveryTotals | null;
  readonly levels: RunEndedEvent["levels"] | null;
  /** By the metric's name: as the run counted, or, where it has not ended or was resumed, from the files. */
  readonly histograms: Readonly<Record<string, Durations>>;
  /** In the files, over all executions: what everything below is drawn from. */
  readonly attempts: number;
  readonly phases: PhaseSummaries;
  readonly teams: readonly TeamSummary[];
  readonly slowest_agents: readonly AgentTimes[];
  readonly resources: MetricsAnalysis["resources"];
  readonly bus_counted: boolean;
  readonly samples: number;
  readonly failovers: number;
  readonly alerts: readonly AlertLine[];
  readonly faults: ReadingFaults;
  /** Oldest first. */
  readonly trend: readonly TrendLine[];
}

export function summaryOf(
  analysis: MetricsAnalysis,
  { faults, runId }: MetricsReading,
  isAlive: boolean | undefined,
  trend: readonly TrendLine[],
): MetricsSummary {
  const { started, ended } = analysis;
  const open = isAlive === undefined ? "unknown" : isAlive ? "alive" : "killed";
  return {
    schema: "cfn.metrics.analysis/1",
    run_id: runId ?? null,
    state: ended?.status ?? open,
    version: started?.version ?? null,
    topology: ended?.topology ?? started?.topology ?? null,
    coordinators: ended?.agents.coordinators ?? started?.coordinators ?? null,
    workers: ended?.agents.workers ?? started?.workers ?? null,
    started_at: analysis.begunAt ?? null,
    executions: analysis.executions,
    coordination_time_ms: ended?.coordination_time_ms ?? null,
    spawn_time_ms: ended?.spawn_time_ms ?? null,
    tasks_per_second: ended === undefined ? null : throughput(ended),
    tasks: ended?.tasks ?? null,
    delivery: ended?.delivery ?? null,
    levels: ended?.levels ?? null,
    histograms: analysis.executions === 1 && ended !== undefined ? ended.histograms : histogramsOf(analysis),
    attempts: analysis.attempts,
    phases: phaseSummaries(analysis.all),
    teams: [...analysis.teams]
      .sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }))
      .map(([team, { attempts, unsuccessful, phases: counts }]) => ({
        team,
        attempts,
        unsuccessful,
        ...phaseSummaries(counts),
      })),
    slowest_agents: analysis.slowest(limits.slowestAgentsShown),
    resources: analysis.resources,
    bus_counted: analysis.busCounted,
    samples: analysis.samples,
    failovers: analysis.failovers,
    alerts: analysis.alerts,
    faults,
    trend,
  };
}

const histogramsOf = ({ histograms }: MetricsAnalysis): MetricsSummary["histograms"] =>
  Object.fromEntries(phases.map((phase) => [durationMetrics[phase].name, histograms[phase].durations()]));

function phaseSummaries(counts: PhaseCounts): PhaseSummaries {
  const each = phases.map((phase) => [`${phase}_ms`, { count: counts[phase].total, ...counts[phase].quantiles() }]);
  return Object.fromEntries(each) as PhaseSummaries;
}
