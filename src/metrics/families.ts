/** The analysis of one run as metric families, for `expositionText`. Pure. */
import type { MetricFamily, MetricSample } from "./exposition.ts";
import { durationMetrics } from "./histogram.ts";
import type { MetricsSummary } from "./summary.ts";

export function familiesOf(summary: MetricsSummary): MetricFamily[] {
  const { run_id, topology, version, state, tasks, levels, resources, histograms } = summary;
  const run = { run_id: run_id ?? "" };
  const one = (value: number | null | undefined): MetricSample[] =>
    value === null || value === undefined ? [] : [{ labels: run, value }];
  const by = (label: string, values: Readonly<Record<string, number>> | undefined): MetricSample[] =>
    Object.entries(values ?? {}).map(([key, value]) => ({ labels: { ...run, [label]: key }, value }));
  const perLevel = (field: "expected" | "delivered" | "duplicates" | "lost" | "rate"): MetricSample[] =>
    by("level", levels === null ? {} : { mesh: levels.mesh[field], hierarchical: levels.hierarchical[field] });
  const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
  const counter = (name: string, help: string, samples: MetricSample[]): MetricFamily => {
    return { name, help, type: "counter", samples };
  };
  const gauge = (name: string, help: string, samples: MetricSample[]): MetricFamily => {
    return { name, help, type: "gauge", samples };
  };
  const { completed, failed, timed_out, cancelled } = tasks ?? {};
  const results = tasks === null ? undefined : ({ completed, failed, timed_out, cancelled } as Record<string, number>);
  const counted = (value: number): MetricSample[] => (summary.bus_counted ? one(value) : []);
  const durations = Object.values(durationMetrics).map(({ name, help }): MetricFamily => {
    const of = histograms[name];
    return { name, help, type: "histogram", samples: of === undefined ? [] : [{ labels: run, ...of }] };
  });
  const about = { ...run, topology: topology ?? "", version: version ?? "", state };
  const { refused_inbox_full: inbox, refused_bus_full: bus, refused_rate: rate } = resources;
  return [
    gauge("cfn_run_info", "The run; its value is always 1.", [{ labels: about, value: 1 }]),
    gauge("cfn_workers", "Workers of the run.", one(summary.workers)),
    gauge("cfn_coordinators", "Coordinators of the run.", one(summary.coordinators)),
    gauge(
      "cfn_coordination_seconds",
      "Start of spawning to the last result.",
      one(seconds(summary.coordination_time_ms)),
    ),
    gauge("cfn_spawn_seconds", "First start of an agent to the last.", one(seconds(summary.spawn_time_ms))),
    counter("cfn_tasks_total", "Tasks that have ended, by how.", by("result", results)),
    counter("cfn_task_retries_total", "Attempts that were followed by another.", one(tasks?.retried)),
    counter("cfn_attempts_total", "Attempts that have ended.", one(summary.attempts)),
    counter("cfn_messages_expected_total", "Messages that should have arrived.", perLevel("expected")),
    counter("cfn_messages_delivered_total", "Messages counted where they were received.", perLevel("delivered")),
    counter("cfn_messages_duplicate_total", "Messages that came twice, and were ignored.", perLevel("duplicates")),
    counter("cfn_messages_lost_total", "Messages that were sent and never received.", perLevel("lost")),
    gauge("cfn_delivery_ratio", "Delivered over expected.", perLevel("rate")),
    ...durations,
    gauge("cfn_tasks_active_most", "The most tasks that were under way at once.", one(resources.active_most)),
    gauge("cfn_resident_memory_peak_bytes", "Of all cfn processes of the run.", one(resources.peak_rss_bytes)),
    gauge("cfn_open_fds_most", "The most descriptors of one process.", one(resources.open_fds_max)),
    counter("cfn_cpu_seconds_total", "User and system time of all cfn processes.", one(seconds(resources.cpu_ms))),
    counter("cfn_metrics_cpu_seconds_total", "Of it for these metrics.", one(seconds(resources.metrics_ms))),
    gauge("cfn_bus_bytes", "The most that the bus occupied.", one(resources.bus_bytes)),
    gauge("cfn_inbox_depth_most", "Messages in the fullest inbox.", counted(resources.inbox_depth_most)),
    counter("cfn_lock_waits_total", "Times that a shard's lock was taken.", counted(resources.lock_waits)),
    counter("cfn_lock_wait_seconds_total", "Waiting for them.", counted(resources.lock_wait_ms / 1000)),
    counter(
      "cfn_messages_refused_total",
      "Attempts to send that were refused, by the bound that they met.",
      summary.bus_counted ? by("bound", { inbox, bus, rate }) : [],
    ),
    counter("cfn_failovers_total", "Coordinators that died.", one(summary.failovers)),
    counter(
      "cfn_alerts_total",
      "Alerts that fired.",
      one(summary.alerts.filter(({ state: is }) => is === "fired").length),
    ),
  ];
}
