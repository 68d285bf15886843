/** What the events of a run say together. Fed one by one; memory grows with the number of agents, not of events. Pure. */
import { LatencyCounts } from "../message/latency.ts";
import type {
  AlertLine,
  AttemptEvent,
  BusSample,
  CoordinatorEndedEvent,
  MetricsEvent,
  ProcessFigures,
  RunEndedEvent,
  RunStartedEvent,
} from "./events.ts";
import { DurationHistogram } from "./histogram.ts";
import { type AgentTimes, type PhaseCounts, SlowestAgents, type TeamCounts, teamCounts } from "./phases.ts";

/** What a process was last seen to use, and the most of it. */
interface ProcessUse {
  readonly writer: string;
  cpuMs: number;
  metricsMs: number;
  rssMost: number;
  fdsMost: number;
  bus: BusSample | undefined;
}

export class MetricsAnalysis {
  /** Of the last execution of the run. */
  started: RunStartedEvent | undefined;
  ended: RunEndedEvent | undefined;
  /** When the first execution began: Unix seconds. */
  begunAt: number | undefined;
  executions = 0;
  attempts = 0;
  samples = 0;
  failovers = 0;
  activeMost = 0;
  busBytesMost = 0;
  inboxDepthMost = 0;
  lastEventAt = 0;
  readonly all: PhaseCounts = { queue: new LatencyCounts(), run: new LatencyCounts(), result: new LatencyCounts() };
  readonly histograms = {
    queue: new DurationHistogram(),
    run: new DurationHistogram(),
    result: new DurationHistogram(),
  };
  readonly teams = new Map<string, TeamCounts>();
  readonly alerts: AlertLine[] = [];
  readonly coordinatorsEnded: CoordinatorEndedEvent[] = [];
  private readonly agents = new SlowestAgents();
  private readonly processes: ProcessUse[] = [];
  private readonly latest = new Map<string, ProcessUse>();

  add(event: MetricsEvent, writer: string): void {
    this.lastEventAt = Math.max(this.lastEventAt, event.t);
    switch (event.event) {
      case "attempt":
        this.attempt(event);
        return;
      case "sample":
        this.samples++;
        this.activeMost = Math.max(this.activeMost, event.active);
        this.busBytesMost = Math.max(this.busBytesMost, event.bus_bytes ?? 0);
        this.uses(writer, event.process, event.bus);
        return;
      case "coordinator_ended":
        this.coordinatorsEnded.push(event);
        this.uses(writer, event.process, event.bus);
        return;
      case "run_started":
        this.executions++;
        this.begunAt ??= event.t;
        this.started = event;
        this.ended = undefined;
        return;
      case "run_ended":
        this.ended = event;
        this.activeMost = Math.max(this.activeMost, event.active_most);
        this.uses(writer, event.process, event.bus);
        return;
      case "failover":
        this.failovers++;
        return;
      case "alert":
        this.alerts.push(event);
        return;
      case "coordinator_ready":
        return;
    }
  }

  slowest(most: number): AgentTimes[] {
    return this.agents.slowest(most);
  }

  /** Of all processes that measured themselves. */
  get resources() {
    const each = this.processes;
    const sum = (of: (use: ProcessUse) => number): number => each.reduce((total, use) => total + of(use), 0);
    const most = (of: (use: ProcessUse) => number): number => Math.max(0, ...each.map(of));
    const { ended } = this;
    return {
      peak_rss_bytes:
        ended?.resources.peak_rss_bytes ?? [...this.latest.values()].reduce((total, use) => total + use.rssMost, 0),
      open_fds_max: Math.max(ended?.resources.open_fds_max ?? 0, ...each.map((use) => use.fdsMost)),
      cpu_ms: thousandths(sum((use) => use.cpuMs)),
      metrics_ms: thousandths(sum((use) => use.metricsMs)),
      bus_bytes: Math.max(ended?.resources.bus_bytes ?? 0, this.busBytesMost),
      active_most: this.activeMost,
      inbox_depth_most: this.inboxDepthMost,
      lock_waits: sum((use) => use.bus?.lock_waits ?? 0),
      lock_wait_ms: thousandths(sum((use) => use.bus?.lock_wait_ms ?? 0)),
      lock_wait_most_ms: most((use) => use.bus?.lock_wait_most_ms ?? 0),
      refused_inbox_full: most((use) => use.bus?.refused_inbox_full ?? 0),
      refused_bus_full: most((use) => use.bus?.refused_bus_full ?? 0),
      refused_rate: most((use) => use.bus?.refused_rate ?? 0),
    };
  }

  /** Whether the bus counted, so that the figures about it are some. */
  get busCounted(): boolean {
    return this.processes.some(({ bus }) => bus !== undefined);
  }

  private attempt(event: AttemptEvent): void {
    this.attempts++;
    const team = this.teams.get(event.team) ?? teamCounts();
    this.teams.set(event.team, team);
    team.attempts++;
    if (event.reason !== "exited" || event.exit_code !== 0) team.unsuccessful++;
    for (const counts of [this.all, team.phases, this.histograms]) {
      if (event.queue_ms !== undefined) counts.queue.add(event.queue_ms);
      if (event.run_ms !== undefined) counts.run.add(event.run_ms);
      if (event.result_ms !== undefined) counts.result.add(event.result_ms);
    }
    this.agents.add(event);
  }

  private uses(writer: string, figures: ProcessFigures, bus: BusSample | undefined): void {
    const { rss_bytes, open_fds, cpu_ms, metrics_ms } = figures;
    let use = this.latest.get(writer);
    // CPU time only rises, so this is another process: the run was resumed.
    if (use === undefined || cpu_ms < use.cpuMs) {
      use = { writer, cpuMs: 0, metricsMs: 0, rssMost: 0, fdsMost: 0, bus: undefined };
      this.latest.set(writer, use);
      this.processes.push(use);
    }
    use.cpuMs = cpu_ms;
    use.metricsMs = metrics_ms ?? 0;
    use.rssMost = Math.max(use.rssMost, rss_bytes);
    use.fdsMost = Math.max(use.fdsMost, open_fds);
    use.bus = bus ?? use.bus;
    this.inboxDepthMost = Math.max(this.inboxDepthMost, bus?.inbox_depth_most ?? 0);
  }
}

const thousandths = (value: number): number => Math.round(value * 1000) / 1000;
