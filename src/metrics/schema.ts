/** The edge of reading: what a line must be to count as an event. What it has besides is ignored, and so are events of other names. */
import * as v from "valibot";
import { endReasons } from "../message/protocol.ts";
import { type MetricsEvent, type MetricsHeader, metricsSchema } from "./events.ts";

const number = v.pipe(v.number(), v.finite());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const stamped = <K extends string>(event: K) => ({ t: number, n: count, event: v.literal(event) });

const deliveries = v.object({
  expected: count,
  delivered: count,
  rate: number,
  duplicates: count,
  lost: count,
  withdrawn: count,
});
const quantiles = v.object({ p50: number, p95: number, p99: number, max: number });
const figures = v.object({ rss_bytes: count, open_fds: count, cpu_ms: number, metrics_ms: v.exactOptional(number) });
const durations = v.object({
  buckets: v.array(v.object({ le: number, count })),
  sum: number,
  count,
});
const bus = v.object({
  lock_waits: count,
  lock_wait_ms: number,
  lock_wait_most_ms: number,
  accepted: v.exactOptional(count),
  refused_inbox_full: v.exactOptional(count),
  refused_bus_full: v.exactOptional(count),
  refused_rate: v.exactOptional(count),
  inbox_depth: v.exactOptional(count),
  inbox_depth_most: v.exactOptional(count),
});

const attempt = v.object({
  ...stamped("attempt"),
  task_id: v.string(),
  seq: count,
  attempt: count,
  agent: v.string(),
  team: v.string(),
  reason: v.picklist(endReasons),
  exit_code: count,
  queue_ms: v.exactOptional(number),
  run_ms: v.exactOptional(number),
  result_ms: v.exactOptional(number),
});

const runStarted = v.object({
  ...stamped("run_started"),
  version: v.string(),
  pid: count,
  topology: v.picklist(["flat", "hybrid"]),
  coordinators: count,
  workers: count,
  earlier: count,
});

const runEnded = v.object({
  ...stamped("run_ended"),
  status: v.picklist(["completed", "failed", "timed_out", "interrupted"]),
  topology: v.picklist(["flat", "hybrid"]),
  agents: v.object({ masters: count, coordinators: count, workers: count }),
  earlier: count,
  coordination_time_ms: number,
  spawn_time_ms: number,
  tasks: v.object({
    total: count,
    completed: count,
    failed: count,
    timed_out: count,
    cancelled: count,
    retried: count,
  }),
  delivery: deliveries,
  levels: v.object({ mesh: deliveries, hierarchical: deliveries }),
  latency_ms: v.object({ task: quantiles, result: quantiles }),
  resources: v.object({ peak_rss_bytes: count, bus_bytes: count, open_fds_max: count }),
  failovers: count,
  active_most: count,
  process: figures,
  bus: v.exactOptional(bus),
  histograms: v.record(v.string(), durations),
});

const event: v.GenericSchema<unknown, MetricsEvent> = v.variant("event", [
  attempt,
  runStarted,
  runEnded,
  v.object({ ...stamped("coordinator_ready"), coordinator: v.string(), workers: v.exactOptional(count) }),
  v.object({
    ...stamped("failover"),
    coordinator: v.string(),
    epoch: count,
    cause: v.string(),
    adopted: count,
    reassigned: count,
  }),
  v.object({
    ...stamped("alert"),
    alert: v.string(),
    subject: v.string(),
    state: v.picklist(["fired", "cleared"]),
    value: number,
    limit: number,
  }),
  v.object({
    ...stamped("sample"),
    active: count,
    process: figures,
    bus: v.exactOptional(bus),
    bus_bytes: v.exactOptional(count),
    done: v.exactOptional(count),
    tasks_per_second: v.exactOptional(number),
  }),
  v.object({
    ...stamped("coordinator_ended"),
    exit_status: count,
    hierarchical: deliveries,
    process: figures,
    bus: v.exactOptional(bus),
  }),
]);

const names = new Set<unknown>([
  "attempt",
  "run_started",
  "run_ended",
  "coordinator_ready",
  "failover",
  "alert",
  "sample",
  "coordinator_ended",
]);
const other = v.object({
  t: number,
  n: count,
  event: v.pipe(
    v.string(),
    v.check((name) => !names.has(name)),
  ),
});
const header: v.GenericSchema<unknown, MetricsHeader> = v.object({
  schema: v.literal(metricsSchema),
  run_id: v.string(),
  writer: v.string(),
  next: count,
});
const anyHeader = v.object({ schema: v.string() });

export interface ReadLine {
  readonly n: number;
  /** Absent for one that this version does not know. */
  readonly event?: MetricsEvent;
}

/** A line of a file; undefined where it is no event. */
export function readEvent(line: string): ReadLine | undefined {
  const value = parsed(line);
  const known = v.safeParse(event, value);
  if (known.success) return { n: known.output.n, event: known.output };
  const unknown = v.safeParse(other, value);
  return unknown.success ? { n: unknown.output.n } : undefined;
}

/** The first line of a file; the schema's name where it is another one, undefined where it is no header. */
export function readMetricsHeader(line: string): MetricsHeader | string | undefined {
  const value = parsed(line);
  const own = v.safeParse(header, value);
  if (own.success) return own.output;
  const foreign = v.safeParse(anyHeader, value);
  return foreign.success && foreign.output.schema !== metricsSchema ? foreign.output.schema : undefined;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // It is named by its place in the file.
  }
}
