/** Measures a run from its master: every event of its coordination becomes one of the metrics. It neither throws nor waits. */

import { limits } from "../limits.ts";
import type { ResultPayload } from "../message/protocol.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import {
  type AlertLine,
  type AttemptEvent,
  type FailoverEvent,
  masterWriter,
  type RunStartedEvent,
  type RunTotals,
} from "./events.ts";
import {
  type BusFigures,
  busPart,
  type CountedDeliveries,
  deliveryTotals,
  processFigures,
  rounded,
  whereKnown,
} from "./figures.ts";
import { DurationHistogram, durationMetrics } from "./histogram.ts";
import { MetricsLog, type MetricsLogOptions } from "./log.ts";

export interface MeterOptions extends Omit<MetricsLogOptions, "writer"> {
  readonly about: Omit<RunStartedEvent, "t" | "n" | "event">;
  readonly intervalMs: number;
  readonly busFigures: () => BusFigures;
  /** What the bus occupies. */
  readonly busBytes: () => number;
}

interface Waits {
  readonly task: number;
  readonly result: number;
}

interface Look {
  readonly counts: RunTotals["tasks"];
  readonly active: number;
}

interface Report extends RunTotals {
  readonly delivery: CountedDeliveries;
  readonly levels: { readonly mesh: CountedDeliveries; readonly hierarchical: CountedDeliveries };
  readonly failovers: readonly unknown[];
}

const HELD_MOST = 2 * limits.metricsBatchEvents;

export class RunMeter {
  private readonly log: MetricsLog;
  private readonly histograms = {
    queue: new DurationHistogram(),
    run: new DurationHistogram(),
    result: new DurationHistogram(),
  };
  /** Results that have come since the last write, each followed by its waits. */
  private held: (ResultPayload | Waits | undefined)[] = [];
  private activeMost = 0;
  private sampledMs = monotonicMs();
  private sampledDone: number;

  constructor(private readonly options: MeterOptions) {
    this.log = new MetricsLog({ ...options, writer: masterWriter, fill: () => this.drain() });
    this.sampledDone = options.about.earlier;
    this.log.emit({ t: unixSeconds(), n: this.log.next(), event: "run_started", ...options.about });
  }

  ready(coordinator: string, workers: number | undefined): void {
    this.drain();
    const whom = workers === undefined ? { coordinator } : { coordinator, workers };
    this.log.emit({ t: unixSeconds(), n: this.log.next(), event: "coordinator_ready", ...whom });
  }

  /** Called for each attempt of a run: what can be done for many at once is done when they are written. */
  attempt(result: ResultPayload, waits: Waits | undefined): void {
    const length = this.held.push(result, waits);
    if (length === 2) this.log.wake();
    else if (length >= HELD_MOST) this.log.flush();
  }

  failover({ coordinator, epoch, cause, adopted, reassigned }: Omit<FailoverEvent, "t" | "n" | "event">): void {
    this.drain();
    const what = { coordinator, epoch, cause, adopted, reassigned };
    this.log.emit({ t: unixSeconds(), n: this.log.next(), event: "failover", ...what });
  }

  alert(alert: Omit<AlertLine, "t" | "n" | "event">): void {
    this.drain();
    this.log.emit({ t: unixSeconds(), n: this.log.next(), event: "alert", ...alert });
  }

  /** There is a sample each interval; what a run has used that is shorter than that stands in its end. */
  look({ counts, active }: Look): void {
    this.activeMost = Math.max(this.activeMost, active);
    const now = monotonicMs();
    const elapsedMs = now - this.sampledMs;
    if (elapsedMs < this.options.intervalMs) return;
    const done = counts.completed + counts.failed + counts.timed_out + counts.cancelled;
    const speed = Number.isFinite(elapsedMs)
      ? { tasks_per_second: rounded(((done - this.sampledDone) * 1000) / elapsedMs) }
      : undefined;
    this.sampledMs = now;
    this.sampledDone = done;
    this.log.costing(() => {
      this.drain();
      this.log.emit({
        t: unixSeconds(),
        n: this.log.next(),
        event: "sample",
        active,
        done,
        ...speed,
        bus_bytes: whereKnown(this.options.busBytes),
        ...busPart(this.options.busFigures),
        process: processFigures(this.log),
      });
    });
  }

  ended(report: Report): void {
    this.log.costing(() => this.emitEnd(report));
    this.close();
  }

  /** For a run that broke off; nothing can be emitted afterwards. */
  close(): void {
    this.log.close();
  }

  private emitEnd(report: Report): void {
    this.drain();
    const { status, topology, agents, coordination_time_ms, spawn_time_ms, tasks, latency_ms, resources, levels } =
      report;
    const { queue, run, result } = this.histograms;
    this.log.emit({
      t: unixSeconds(),
      n: this.log.next(),
      event: "run_ended",
      status,
      topology,
      agents,
      earlier: this.options.about.earlier,
      coordination_time_ms,
      spawn_time_ms,
      tasks,
      delivery: deliveryTotals(report.delivery),
      levels: { mesh: deliveryTotals(levels.mesh), hierarchical: deliveryTotals(levels.hierarchical) },
      latency_ms,
      resources,
      failovers: report.failovers.length,
      active_most: this.activeMost,
      ...busPart(this.options.busFigures),
      histograms: {
        [durationMetrics.queue.name]: queue.durations(),
        [durationMetrics.run.name]: run.durations(),
        [durationMetrics.result.name]: result.durations(),
      },
      process: processFigures(this.log),
    });
  }

  /** Makes events of the results held. One loop without calls into smaller pieces: it never runs often enough to be compiled. */
  private drain(): void {
    const { held, log } = this;
    if (held.length === 0) return;
    this.held = [];
    const { queue, run, result: counted } = this.histograms;
    const now = unixSeconds();
    const events: AttemptEvent[] = [];
    let n = log.next(held.length / 2);
    for (let at = 0; at < held.length; at += 2) {
      const result = held[at] as ResultPayload;
      const waits = held[at + 1] as Waits | undefined;
      const agent = result.agent_id;
      let t = now;
      let queue_ms: number | undefined;
      let run_ms: number | undefined;
      let result_ms: number | undefined;
      if (result.started_at > 0) {
        run_ms = result.run_time_ms;
        run.add(run_ms);
      }
      if (waits !== undefined) {
        queue_ms = Math.round(waits.task * 1000) / 1000;
        result_ms = Math.round(waits.result * 1000) / 1000;
        queue.add(queue_ms);
        counted.add(result_ms);
        t = Math.round(result.started_at * 1000 + result.run_time_ms + result_ms) / 1000;
      }
      // c3-w12 is of the team c3; a flat swarm has one team, and its agents are w1, w2, …
      const member = agent.lastIndexOf("-w");
      events.push({
        t,
        n: n++,
        event: "attempt",
        task_id: result.task_id,
        seq: result.seq,
        attempt: result.attempt,
        agent,
        team: member > 0 ? agent.slice(0, member) : agent === "" ? "" : "c1",
        reason: result.reason,
        exit_code: result.exit_code,
        // What is undefined is left out of the line.
        queue_ms,
        run_ms,
        result_ms,
      });
    }
    log.emitAll(events);
  }
}
