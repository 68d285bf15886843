import { describe, expect, test } from "bun:test";
import { MetricsAnalysis } from "../../src/metrics/analysis.ts";
import type { AttemptEvent, MetricsEvent } from "../../src/metrics/events.ts";
import { expositionText } from "../../src/metrics/exposition.ts";
import { familiesOf } from "../../src/metrics/families.ts";
import { metricsPage } from "../../src/metrics/page.ts";
import { type MetricsSummary, summaryOf } from "../../src/metrics/summary.ts";
import type { TrendLine } from "../../src/metrics/trend.ts";

let n = 0;
const attempt = (agent: string, run_ms: number, more: Partial<AttemptEvent> = {}): AttemptEvent => ({
  t: 100,
  n: ++n,
  event: "attempt",
  task_id: `task of ${agent}`,
  seq: n,
  attempt: 1,
  agent,
  team: agent.slice(0, 2),
  reason: "exited",
  exit_code: 0,
  queue_ms: 10,
  run_ms,
  result_ms: 0.5,
  ...more,
});

const started = (earlier = 0): MetricsEvent => ({
  t: 99,
  n: ++n,
  event: "run_started",
  version: "1.2.3",
  pid: 1,
  topology: "hybrid",
  coordinators: 2,
  workers: 4,
  earlier,
});

const process = (cpu_ms: number, rss_bytes = 1 << 20) => ({ rss_bytes, open_fds: 9, cpu_ms, metrics_ms: cpu_ms / 10 });
const sample = (cpu_ms: number, more = {}): MetricsEvent => ({
  t: 100,
  n: ++n,
  event: "sample",
  active: 3,
  process: process(cpu_ms),
  ...more,
});

const faults = { broken: 0, places: [], torn: 0, missing: 0, rotated_away: 0 };
const reading = { faults, runId: "r1" };

function analysed(events: readonly (readonly [string, MetricsEvent])[]): MetricsAnalysis {
  const analysis = new MetricsAnalysis();
  for (const [writer, event] of events) analysis.add(event, writer);
  return analysis;
}
const ofMaster = (...events: MetricsEvent[]) => events.map((event) => ["master", event] as const);
const page = (summary: MetricsSummary, analysis: MetricsAnalysis, blocks = true): string =>
  metricsPage(summary, analysis, { phase: "run", blocks });

describe("the analysis of a run's metrics", () => {
  test("has the quantiles of each phase, over all and per team", () => {
    const attempts = Array.from({ length: 100 }, (_, i) => attempt(i < 50 ? "c1-w1" : "c2-w1", i + 1));
    const summary = summaryOf(analysed(ofMaster(started(), ...attempts)), reading, false, []);
    expect(summary.phases.run_ms).toMatchObject({ count: 100, max: 100 });
    for (const [share, wanted] of [
      ["p50", 50],
      ["p95", 95],
      ["p99", 99],
    ] as const)
      expect(Math.abs(summary.phases.run_ms[share] / wanted - 1)).toBeLessThan(0.011);
    expect(summary.teams.map(({ team, attempts: of, run_ms }) => [team, of, run_ms.max])).toEqual([
      ["c1", 50, 50],
      ["c2", 50, 100],
    ]);
    expect(summary.histograms["cfn_task_run_seconds"]?.buckets.find(({ le }) => le === 0.05)?.count).toBe(50);
  });

  test("counts an attempt that never ran as one, and as no duration", () => {
    const { run_ms: _run, queue_ms: _queue, result_ms: _result, ...rest } = attempt("", 0);
    const never: AttemptEvent = { ...rest, team: "", reason: "cancelled", exit_code: 143 };
    const summary = summaryOf(analysed(ofMaster(started(), never)), reading, false, []);
    expect(summary.attempts).toBe(1);
    expect(summary.phases.run_ms).toEqual({ count: 0, p50: 0, p95: 0, p99: 0, max: 0 });
    expect(summary.teams[0]).toMatchObject({ team: "", unsuccessful: 1 });
    expect(summary.slowest_agents).toEqual([]);
  });

  test("names the agents with the longest attempts, and their tasks", () => {
    const attempts = [5, 80, 20].map((ms, i) => attempt(`c1-w${i}`, ms));
    const again = attempt("c1-w0", 200, { task_id: "the long one" });
    const { slowest_agents: slowest } = summaryOf(analysed(ofMaster(...attempts, again)), reading, false, []);
    expect(slowest.map(({ agent, longest_ms }) => [agent, longest_ms])).toEqual([
      ["c1-w0", 200],
      ["c1-w1", 80],
      ["c1-w2", 20],
    ]);
    expect(slowest[0]).toMatchObject({ task_id: "the long one", attempts: 2, mean_ms: 102.5 });
  });

  test("adds the CPU time of all processes, one that follows another under the same name too", () => {
    const events = [
      ["master", sample(100)],
      ["c1.1", sample(30)],
      ["c1.1", sample(50)],
      ["c1.1", sample(20)],
    ] as const;
    expect(analysed(events).resources).toMatchObject({
      cpu_ms: 170,
      metrics_ms: 17,
      peak_rss_bytes: 2 << 20,
      active_most: 3,
    });
  });

  test("takes the most of what the bus was seen to hold, and adds the waits of each process", () => {
    const bus = (lock_waits: number, inbox_depth_most: number) => ({
      bus: {
        lock_waits,
        lock_wait_ms: lock_waits / 2,
        lock_wait_most_ms: 1,
        accepted: 9,
        refused_inbox_full: 4,
        refused_bus_full: 0,
        refused_rate: 0,
        inbox_depth: 20,
        inbox_depth_most,
      },
    });
    const analysis = analysed([
      ["master", sample(1, bus(2, 7))],
      ["master", sample(2, bus(4, 3))],
      ["c1.1", sample(1, bus(6, 5))],
    ]);
    const { lock_waits, lock_wait_ms, inbox_depth_most, refused_inbox_full } = analysis.resources;
    expect({ lock_waits, lock_wait_ms, inbox_depth_most, refused_inbox_full }).toEqual({
      lock_waits: 10,
      lock_wait_ms: 5,
      inbox_depth_most: 7,
      refused_inbox_full: 4,
    });
  });

  test("of a run without an end says whether it goes on", () => {
    const analysis = analysed(ofMaster(started(), attempt("c1-w1", 1)));
    const states = [true, false, undefined].map((alive) => summaryOf(analysis, reading, alive, []).state);
    expect(states).toEqual(["alive", "killed", "unknown"]);
  });
});

describe("the page", () => {
  const some = analysed(ofMaster(started(), ...[3, 4, 4, 200].map((ms, i) => attempt(`c1-w${i}`, ms)), sample(5)));

  test("draws the durations as bars, the largest the longest", () => {
    const text = page(summaryOf(some, reading, false, []), some);
    expect(text).toContain(
      "run r1 · hybrid of 2 teams · 4 agents · killed · 1970-01-01 00:01:39Z\n4 attempts so far\n",
    );
    const bars = text.split("\n").filter((line) => line.includes("█"));
    const length = (line: string | undefined): number => line?.match(/█/g)?.length ?? 0;
    expect(length(bars.find((line) => line.includes("≤ 5 ms")))).toBe(40);
    expect(length(bars.find((line) => line.includes("≤ 200 ms")))).toBe(20);
  });

  test("is plain ASCII where the terminal knows nothing else", () => {
    const text = page(summaryOf(some, reading, false, [line("a", 1), line("b", 2)]), some, false);
    expect(text).toContain("<= 5 ms");
    expect(text).toContain("####");
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });

  test("shows nothing of a task's name that a terminal would obey", () => {
    const analysis = analysed(ofMaster(attempt("c1-w1", 5, { task_id: `\x1b[2J\n${"x".repeat(99)}` })));
    const text = page(summaryOf(analysis, reading, false, []), analysis);
    expect(text).not.toContain("\x1b");
    expect(text).toContain("\\u001b[2J\\nxxx");
    for (const row of text.split("\n")) expect(row.length).toBeLessThan(120);
  });

  const line = (run_id: string, coordination_time_ms: number): TrendLine => ({
    run_id,
    started_at: 1,
    topology: "flat",
    workers: 2,
    status: "completed",
    tasks: 2,
    coordination_time_ms,
    delivery_rate: 0.99999,
    tasks_per_second: 2000 / coordination_time_ms,
  });

  test("compares runs, and never calls 100 % what is less", () => {
    const { run_id, started_at, topology, workers } = line("gone", 1);
    const trend = [line("other", 1000), { run_id, started_at, topology, workers }, line("r1", 2000)];
    const text = page(summaryOf(some, reading, false, trend), some);
    expect(text).toMatch(/^LAST 3 RUNS {2,}TOPOLOGY/m);
    expect(text).toMatch(/^r1 \* .* 2 s +1 +99.99 %$/m);
    expect(text).toMatch(/^gone .*no end .* - +- +-$/m);
    expect(text).toContain("coordination time, oldest to newest: ▅█");
  });

  test("says what is wrong with the files", () => {
    const wrong = { broken: 1, places: [{ file: "m.jsonl", line: 7 }], torn: 1, missing: 2, rotated_away: 3 };
    const text = page(summaryOf(some, { faults: wrong, runId: "r1" }, false, []), some);
    expect(text).toContain("note       1 line cannot be read: m.jsonl:7\n");
    expect(text).toContain("2 events missing");
    expect(text).toContain("1 file torn");
    expect(text).toContain("the first 3 events are not kept");
  });

  test("of no events says so", () => {
    const none = new MetricsAnalysis();
    expect(page(summaryOf(none, { faults, runId: undefined }, undefined, []), none)).toBe(
      "run unknown · no end in this file\nno attempt has ended\n",
    );
  });
});

test("the families of a run that has not ended are those that are known", () => {
  const analysis = analysed(ofMaster(started(), attempt("c1-w1", 3)));
  const text = expositionText(familiesOf(summaryOf(analysis, reading, true, [])));
  expect(text).toContain('cfn_attempts_total{run_id="r1"} 1\n');
  expect(text).toContain('cfn_task_run_seconds_bucket{run_id="r1",le="0.005"} 1\n');
  expect(text).toContain('cfn_run_info{run_id="r1",topology="hybrid",version="1.2.3",state="alive"} 1\n');
  expect(text).not.toContain("cfn_coordination_seconds");
  expect(text).not.toContain("cfn_lock_waits_total");
});
