/** What `cfn metrics` shows to a person. Pure. */
import type { MetricsAnalysis } from "./analysis.ts";
import { columns, curve, durationText, histogramText, percent, sizeText } from "./drawing.ts";
import type { DeliveryTotals } from "./events.ts";
import { durationMetrics, type Phase } from "./histogram.ts";
import { phases } from "./phases.ts";
import type { MetricsSummary } from "./summary.ts";

export interface PageOptions {
  /** Which phase the histogram is of. */
  readonly phase: Phase;
  /** Whether the terminal has block characters: it speaks UTF-8. */
  readonly blocks: boolean;
}

/** `analysis` is what the summary was made of: the histogram is drawn from it. */
export function metricsPage(summary: MetricsSummary, analysis: MetricsAnalysis, options: PageOptions): string {
  const parts = [
    head(summary),
    phaseTable(summary),
    teamTable(summary),
    slowestTable(summary),
    histogramPart(analysis, options),
    resourcesLine(summary),
    alertLines(summary),
    faultLines(summary),
    trendTable(summary, options.blocks),
  ];
  const text = parts.filter((part) => part !== "").join("\n");
  return options.blocks ? text : text.replaceAll("·", "-");
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
/** To the second, UTC. */
const when = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")}Z`;

function head(summary: MetricsSummary): string {
  const { run_id, topology, coordinators, workers, state, started_at, tasks, executions } = summary;
  const parts = [`run ${run_id ?? "unknown"}`];
  if (topology !== null)
    parts.push(topology === "flat" ? topology : `${topology} of ${counted(coordinators ?? 0, "team")}`);
  if (workers !== null) parts.push(counted(workers, "agent"));
  parts.push(state === "unknown" ? "no end in this file" : state);
  if (started_at !== null) parts.push(when(started_at));
  if (executions > 1) parts.push(`resumed ${executions - 1}×`);
  const lines = [parts.join(" · ")];
  if (tasks !== null) lines.push(tasksLine(summary, tasks));
  else lines.push(summary.attempts === 0 ? "no attempt has ended" : `${counted(summary.attempts, "attempt")} so far`);
  const { delivery, levels } = summary;
  if (delivery !== null && levels !== null) lines.push(deliveryLine(delivery, levels));
  return `${lines.join("\n")}\n`;
}

function tasksLine(summary: MetricsSummary, tasks: NonNullable<MetricsSummary["tasks"]>): string {
  const { coordination_time_ms: took, spawn_time_ms: spawned, tasks_per_second: speed } = summary;
  const others = [
    [tasks.failed, "failed"],
    [tasks.timed_out, "timed out"],
    [tasks.cancelled, "cancelled"],
    [tasks.retried, "retried"],
  ] as const;
  const counts = others.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  return [
    `${tasks.completed} of ${counted(tasks.total, "task")} completed${counts.join("")}`,
    `coordination ${durationText(took ?? 0)}`,
    `spawning ${durationText(spawned ?? 0)}`,
    `${Math.round(speed ?? 0)} tasks/s`,
  ].join(" · ");
}

function deliveryLine(delivery: DeliveryTotals, levels: NonNullable<MetricsSummary["levels"]>): string {
  const of = ({ delivered, expected }: DeliveryTotals): string => `${delivered} of ${expected}`;
  const parts = [`delivered ${of(delivery)} messages (${percent(delivery.rate)})`];
  if (levels.mesh.expected > 0) parts.push(`mesh ${of(levels.mesh)}`, `hierarchical ${of(levels.hierarchical)}`);
  parts.push(counted(delivery.duplicates, "duplicate"), `${delivery.lost} lost`);
  if (delivery.withdrawn > 0) parts.push(`${delivery.withdrawn} withdrawn`);
  return parts.join(" · ");
}

function phaseTable({ attempts, phases: of }: MetricsSummary): string {
  if (attempts === 0) return "";
  const rows = phases.map((phase) => {
    const { count, p50, p95, p99, max } = of[`${phase}_ms`];
    return [phase, `${count}`, ...[p50, p95, p99, max].map(durationText)];
  });
  return columns([["PHASE", "ATTEMPTS", "P50", "P95", "P99", "MAX"], ...rows]);
}

function teamTable({ teams }: MetricsSummary): string {
  if (teams.length < 2) return "";
  const rows = teams.map(({ team, attempts, unsuccessful, queue_ms, run_ms, result_ms }) => {
    const times = [queue_ms.p50, queue_ms.p95, run_ms.p50, run_ms.p95, result_ms.p50, result_ms.p95];
    return [team || "-", `${attempts}`, `${unsuccessful}`, ...times.map(durationText)];
  });
  const title = ["TEAM", "ATTEMPTS", "FAILED", "QUEUE P50", "P95", "RUN P50", "P95", "RESULT P50", "P95"];
  return columns([title, ...rows]);
}

function slowestTable({ slowest_agents: slowest }: MetricsSummary): string {
  if (slowest.length === 0) return "";
  const rows = slowest.map(({ agent, task_id, attempts, longest_ms, mean_ms }) => {
    return [agent, shortened(task_id), `${attempts}`, durationText(longest_ms), durationText(mean_ms)];
  });
  return columns([["SLOWEST AGENTS", "TASK", "ATTEMPTS", "LONGEST", "MEAN"], ...rows], [0, 1]);
}

/** Task ids come from users: one line, of a bounded length, without what a terminal would obey. */
function shortened(text: string): string {
  const plain = JSON.stringify(text).slice(1, -1);
  return plain.length > 40 ? `${plain.slice(0, 37)}...` : plain;
}

function histogramPart({ all }: MetricsAnalysis, { phase, blocks }: PageOptions): string {
  const bars = histogramText(all[phase], blocks);
  return bars === "" ? "" : `${durationMetrics[phase].help.replace(/\.$/, ":")}\n${bars}`;
}

function resourcesLine({ resources: used, bus_counted }: MetricsSummary): string {
  if (used.peak_rss_bytes === 0) return "";
  const parts = [
    `${sizeText(used.peak_rss_bytes)} RSS at most`,
    `CPU ${durationText(used.cpu_ms)}, of it ${durationText(used.metrics_ms)} for metrics`,
    `${used.open_fds_max} descriptors`,
    `bus ${sizeText(used.bus_bytes)}`,
    `${used.active_most} tasks under way seen`,
  ];
  const lines = [`resources  ${parts.join(" · ")}\n`];
  if (bus_counted) lines.push(`bus        ${busParts(used).join(" · ")}\n`);
  return lines.join("");
}

function busParts(used: MetricsSummary["resources"]): string[] {
  const { lock_waits: waits, lock_wait_ms: waited, lock_wait_most_ms: longest } = used;
  const refused = used.refused_inbox_full + used.refused_bus_full + used.refused_rate;
  const times = waits > 0 ? `: ${durationText(waited)}, ${durationText(longest)} at most` : "";
  return [
    `${counted(used.inbox_depth_most, "message")} in the fullest inbox seen`,
    `${counted(waits, "lock wait")}${times}`,
    `${counted(refused, "send")} refused`,
  ];
}

function alertLines({ alerts, failovers }: MetricsSummary): string {
  const lines = alerts.map(
    ({ t, alert, state, value, limit }) => `${when(t)} ${alert} ${state}: ${value}, limit ${limit}`,
  );
  if (failovers > 0) lines.push(`${counted(failovers, "coordinator")} died; their teams were taken over`);
  return lines.map((line) => `alert      ${line}\n`).join("");
}

function faultLines({ faults }: MetricsSummary): string {
  const lines: string[] = [];
  if (faults.broken > 0) {
    const places = faults.places.map(({ file, line }) => `${file}:${line}`).join(", ");
    lines.push(`${counted(faults.broken, "line")} cannot be read: ${places}`);
  }
  if (faults.missing > 0) lines.push(`${counted(faults.missing, "event")} missing, by the numbers of the others`);
  if (faults.torn > 0)
    lines.push(`${counted(faults.torn, "file")} torn at the end: its writer was killed, or the disk full`);
  if (faults.rotated_away > 0) lines.push(`the first ${counted(faults.rotated_away, "event")} are not kept any more`);
  return lines.map((line) => `note       ${line}\n`).join("");
}

function trendTable({ trend, run_id }: MetricsSummary, blocks: boolean): string {
  if (trend.length < 2) return "";
  const rows = trend.map((line) => {
    const { delivery_rate: rate, coordination_time_ms: took, tasks_per_second: speed } = line;
    return [
      `${line.run_id}${line.run_id === run_id ? " *" : ""}`,
      line.topology,
      line.status ?? "no end",
      `${line.workers}`,
      line.tasks === undefined ? "-" : `${line.tasks}`,
      took === undefined ? "-" : durationText(took),
      speed === undefined ? "-" : `${Math.round(speed)}`,
      rate === undefined ? "-" : percent(rate),
    ];
  });
  const title = [
    `LAST ${trend.length} RUNS`,
    "TOPOLOGY",
    "STATUS",
    "AGENTS",
    "TASKS",
    "COORDINATION",
    "TASKS/S",
    "DELIVERED",
  ];
  const took = trend.flatMap(({ coordination_time_ms: ms }) => (ms === undefined ? [] : [ms]));
  const drawn = blocks && took.length > 1 ? `coordination time, oldest to newest: ${curve(took)}\n` : "";
  return columns([title, ...rows], [0, 1, 2]) + drawn;
}
