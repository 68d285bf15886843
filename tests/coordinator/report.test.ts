import { expect, test } from "bun:test";
import { Failures, type ReportBasis, reportOf } from "../../src/coordinator/report.ts";
import { noDeliveries } from "../../src/coordinator/swarm.ts";
import { noMessages } from "../../src/coordinator/undelivered.ts";
import { limits } from "../../src/limits.ts";
import type { ResultPayload } from "../../src/message/protocol.ts";

const quantiles = { p50: 1, p95: 2, p99: 3, max: 4 };

const basis = (more: Partial<ReportBasis> = {}): ReportBasis => ({
  run_id: "r1",
  shape: { topology: "flat", teams: [3], workers: 3 },
  state: {
    status: "completed",
    counts: { total: 1, completed: 1, failed: 0, timed_out: 0, cancelled: 0, retried: 0 },
  },
  swarm: { mesh: noDeliveries, hierarchical: noDeliveries },
  timing: { spawnMs: 1.00049, latency: { task: quantiles, result: quantiles } },
  coordinationMs: 2.0006,
  failures: new Failures(),
  orphans: { ended: 2, left: [7, 8, 9] },
  messages: noMessages,
  resources: { peak_rss_bytes: 1, bus_bytes: 2, open_fds_max: 3 },
  failovers: [],
  bus_damaged: 5,
  ...more,
});

const failed = (seq: number): ResultPayload => ({
  ...{ task_id: `t${seq}`, seq, attempt: 1, agent_id: "w1", reason: "exited", exit_code: 3, signal: 0 },
  ...{ started_at: 1, run_time_ms: 1, stdout_bytes: 0, stderr_bytes: 0 },
});

test("a report says what the run has come to", () => {
  expect(reportOf(basis())).toEqual({
    schema: "cfn.run/1",
    run_id: "r1",
    status: "completed",
    topology: "flat",
    agents: { masters: 0, coordinators: 1, workers: 3 },
    coordination_time_ms: 2.001,
    spawn_time_ms: 1,
    tasks: { total: 1, completed: 1, failed: 0, timed_out: 0, cancelled: 0, retried: 0 },
    delivery: { ...noDeliveries, lost: [], rate: 1 },
    levels: { mesh: { ...noDeliveries, rate: 1 }, hierarchical: { ...noDeliveries, rate: 1 } },
    messages: noMessages,
    latency_ms: { task: quantiles, result: quantiles },
    resources: { peak_rss_bytes: 1, bus_bytes: 2, open_fds_max: 3 },
    failures: [],
    failures_omitted: 0,
    failovers: [],
    orphans_ended: 2,
    orphans_left: 3,
    bus_damaged: 5,
    alerts: [],
    alerts_omitted: 0,
  });
});

test("only a hybrid swarm has a master beside its coordinators", () => {
  const shape = { topology: "hybrid", teams: [2, 2], workers: 4 } as const;
  expect(reportOf(basis({ shape })).agents).toEqual({ masters: 1, coordinators: 2, workers: 4 });
});

test("delivery is that of both levels together, each level with its own rate", () => {
  const mesh = { ...noDeliveries, expected: 4, delivered: 4 };
  const hierarchical = { ...noDeliveries, expected: 6, delivered: 5, lost: ["a"] };
  const { delivery, levels } = reportOf(basis({ swarm: { mesh, hierarchical } }));
  expect(delivery).toMatchObject({ expected: 10, delivered: 9, lost: ["a"], rate: 0.9 });
  expect([levels.mesh.rate, levels.hierarchical.rate]).toEqual([1, 5 / 6]);
});

test("the first failures are listed, of the others there is a count", () => {
  const failures = new Failures();
  for (let seq = 1; seq <= limits.failuresListed + 2; seq++) failures.add(failed(seq));
  const report = reportOf(basis({ failures }));
  expect(report.failures).toHaveLength(limits.failuresListed);
  expect(report.failures[0]).toEqual({ task_id: "t1", agent_id: "w1", exit_code: 3, signal: 0, reason: "exited" });
  expect(report.failures_omitted).toBe(2);
});
