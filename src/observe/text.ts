/** The same for people. Pure. */
import { formatBytes } from "../message/quantity.ts";
import { spanText } from "./judge.ts";
import type { HealthReport, StatusReport } from "./reports.ts";

/** Columns as wide as their widest cell; the last one is not filled up. Each line ends with a newline. */
function tableText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => (row[n] as string).length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, n) => cell.padEnd(widths[n] as number))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map((row) => `${line(row)}\n`).join("");
}

export function healthText({ hosts, agents }: HealthReport): string {
  const head = ["ID", "HEALTH", "PID", "TASK", "DEPTH", "REASON"];
  const hostRows = hosts.map(({ id, health, pid, reason }) => [id, health, String(pid), "-", "-", reason]);
  const agentRows = agents.map(({ id, health, pid, seq, depth, reason }) => [
    id,
    health,
    String(pid ?? "-"),
    String(seq ?? "-"),
    String(depth.data + depth.control),
    reason,
  ]);
  return tableText(head, [...hostRows, ...agentRows]);
}

export function statusText(status: StatusReport): string {
  const { run_id, bus, phase, pid, topology, elapsed_ms, tasks, delivery, coordinators, workers, health } = status;
  const rows: [string, string][] = [];
  if (tasks === null) rows.push(["bus", `${bus}, of no run`]);
  else {
    const { total, done, active, retried, per_second, eta_ms } = tasks;
    const bad = (["failed", "timed_out", "cancelled"] as const).filter((what) => tasks[what] > 0);
    const parts = [
      `${done}${total === null ? "" : `/${total}`} done`,
      ...bad.map((what) => `${tasks[what]} ${what.replace("_", " ")}`),
      ...(retried > 0 ? [`${retried} retried`] : []),
      `${active} active`,
      `${per_second.toFixed(per_second < 10 ? 1 : 0)}/s`,
      ...(eta_ms === null || eta_ms <= 0 ? [] : [`ETA ${spanText(eta_ms)}`]),
    ];
    rows.push(["run", `${run_id}, ${topology}, ${phase} for ${spanText(elapsed_ms ?? 0)}, master ${pid}`]);
    rows.push(["tasks", parts.join(" · ")]);
    rows.push(["coordinators", `${coordinators.ready} of ${coordinators.total} take tasks`]);
    const { expected, delivered, duplicates } = delivery;
    const twice = duplicates > 0 ? `, ${duplicates} twice` : "";
    rows.push(["messages", `${delivered} of ${expected} delivered${twice}`]);
    if (status.failovers > 0) rows.push(["failovers", String(status.failovers)]);
  }
  rows.push(["agents", `${workers.total}, ${workers.running} at work`]);
  const states = Object.entries(health.agents).filter(([, count]) => count > 0);
  const counts = states.map(([state, count]) => `${count} ${state}`).join(", ");
  rows.push(["health", `${health.state}${counts === "" ? "" : ` (${counts})`}`]);
  if (health.master !== null) rows.push(["", health.master]);
  rows.push(["bus", `${formatBytes(status.bus_bytes)} in use`]);
  return rows.map(([name, text]) => `${name.padEnd(14)}${text}\n`).join("");
}
