/** What `cfn status`, `cfn health` and the endpoint say of a run, as JSON. Pure. */
import type { HealthState } from "./judge.ts";
import { type AgentView, agentCounts, type HostView, healthOf, masterTrouble, type RunView } from "./runview.ts";

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/** `"schema": "cfn.status/1"`. */
export function statusReport(view: RunView) {
  const { board, delivery, runId, busDir, phase } = view;
  const running = view.agents.filter(({ doing }) => doing === "running").length;
  return {
    schema: "cfn.status/1",
    run_id: runId ?? null,
    bus: busDir,
    phase: phase ?? null,
    pid: board?.pid ?? null,
    started_at: board?.started_at ?? null,
    elapsed_ms: board === undefined ? null : rounded(board.elapsed_ms),
    topology: board === undefined ? null : board.hybrid === 1 ? "hybrid" : "flat",
    tasks: board === undefined ? null : tasksOf(view),
    delivery: { ...delivery, rate: delivery.expected === 0 ? 1 : delivery.delivered / delivery.expected },
    coordinators: { total: board?.coordinators ?? 0, ready: board?.ready.filter((takes) => takes).length ?? 0 },
    workers: { total: view.agents.length, running },
    failovers: board?.failovers ?? 0,
    health: { state: healthOf(view), master: masterTrouble(view) ?? null, agents: agentCounts(view) },
    bus_bytes: view.busBytes,
  } as const;
}

function tasksOf({ board }: RunView) {
  const { tasks_read, tasks_total, completed, failed, timed_out, cancelled, retried, active, earlier, elapsed_ms } =
    board as NonNullable<RunView["board"]>;
  const done = completed + failed + timed_out + cancelled;
  const total = tasks_total < 0 ? null : tasks_total;
  const per_second = elapsed_ms > 0 ? ((done - earlier) * 1000) / elapsed_ms : 0;
  const eta_ms = total === null || per_second <= 0 ? null : Math.round(((total - done) * 1000) / per_second);
  const counts = { completed, failed, timed_out, cancelled, retried };
  return { total, read: tasks_read, done, active, ...counts, per_second: rounded(per_second), eta_ms };
}

const beatSeconds = ({ beatAgeMs }: HostView): number => rounded(beatAgeMs / 1000);

function hostReport(host: HostView) {
  const { id, role, pid, health } = host;
  return { id, role, health: health.state, reason: health.reason, pid, beat_age_seconds: beatSeconds(host) };
}

export function agentReport(agent: AgentView) {
  const { id, team, doing, pid, seq, attempt, startedAt, cpuMs, outputBytes, depth, health } = agent;
  return {
    id,
    team: team || null,
    health: health.state,
    reason: health.reason,
    doing,
    pid: pid || null,
    seq: seq || null,
    attempt: attempt || null,
    started_at: startedAt || null,
    cpu_seconds: rounded(cpuMs / 1000),
    output_bytes: outputBytes,
    depth,
  } as const;
}

/** `"schema": "cfn.health/1"`: of the whole run, or of the agents and hosts with this id alone. */
export function healthReport(view: RunView, only?: string) {
  const hosts = view.hosts.filter(({ id }) => only === undefined || id === only);
  const agents = view.agents.filter(({ id }) => only === undefined || id === only);
  const health: HealthState = healthOf({ ...view, hosts, agents });
  return {
    schema: "cfn.health/1",
    run_id: view.runId ?? null,
    health,
    hosts: hosts.map(hostReport),
    agents: agents.map(agentReport),
  } as const;
}

export type HealthReport = ReturnType<typeof healthReport>;
export type StatusReport = ReturnType<typeof statusReport>;
