import { describe, expect, test } from "bun:test";
import type { RosterEntry, RosterSample } from "../../src/bus/roster.ts";
import {
  type AgentFacts,
  type Health,
  type HostFacts,
  judgeAgent,
  judgeHost,
  type ProcessFacts,
  spanText,
  worstOf,
} from "../../src/observe/judge.ts";

const NOW = 1_000_000;
const thresholds = { stoppedAfterMs: 10_000, stalledAfterMs: 300_000, beatLateMs: 5000, hungAfterMs: 10_000 };

const sample = (changes: Partial<RosterSample> = {}): RosterSample => ({
  at: NOW - 500,
  state: "S",
  progressAt: NOW - 500,
  stoppedSince: undefined,
  mark: 0,
  cpuTicks: 10,
  outputBytes: 0,
  ...changes,
});

const running = (changes: Partial<RosterEntry> = {}): RosterEntry => ({
  seat: 0,
  state: "running",
  seq: 1,
  attempt: 1,
  pid: 4711,
  startedAt: 1,
  runTimeMs: 0,
  exitCode: 0,
  signal: 0,
  reason: "exited",
  sample: undefined,
  ...changes,
});

const host = (changes: Partial<HostFacts> = {}): HostFacts => ({
  id: "c1",
  pid: 42,
  alive: true,
  stopped: false,
  beatAgeMs: 100,
  leaving: false,
  ...changes,
});

const judged = (facts: Partial<AgentFacts>): Health =>
  judgeAgent({ entry: running(), process: undefined, host: host(), ...facts }, thresholds, NOW);

const there: ProcessFacts = { seen: "there", progress: false };
const stopped = (unmoved: boolean): ProcessFacts => ({ seen: "stopped", unmoved });
const stoppedFor = (ms: number): RosterEntry =>
  running({ sample: sample({ state: "T", stoppedSince: NOW - ms, mark: 7 }) });
const still = (ms: number): RosterEntry => running({ sample: sample({ progressAt: NOW - ms }) });

describe("an agent", () => {
  test.each<[string, Partial<AgentFacts>, Health["state"], string]>([
    ["without a task is idle and healthy", { entry: undefined }, "healthy", "idle"],
    ["that is being started is healthy", { entry: running({ state: "launching" }) }, "healthy", "is being started"],
    ["that runs is healthy before anybody has looked at it", {}, "healthy", "at work"],
    ["that runs and makes progress is healthy", { entry: still(1000), process: there }, "healthy", "at work"],
    [
      "that a signal ended is dead",
      { entry: running({ state: "ended", reason: "signalled", signal: 9 }) },
      "dead",
      "killed by signal 9",
    ],
    [
      "that failed by itself is not dead but idle",
      { entry: running({ state: "ended", exitCode: 1 }) },
      "healthy",
      "idle, its last task exited",
    ],
    [
      "that its run ended is idle",
      { entry: running({ state: "ended", reason: "timed_out", signal: 15 }) },
      "healthy",
      "idle, its last task timed out",
    ],
    [
      "whose process is gone is dead, whatever its host wrote",
      { process: { seen: "gone" } },
      "dead",
      "process 4711 is gone",
    ],
    [
      "that is a zombie by a signal is dead",
      { process: { seen: "ended", endedBy: 11 } },
      "dead",
      "killed by signal 11",
    ],
    [
      "that is a zombie by itself has just ended",
      { process: { seen: "ended", endedBy: 0 } },
      "healthy",
      "has just ended",
    ],
    ["that is stopped is degraded at once", { process: stopped(false) }, "degraded", "stopped"],
    [
      "stopped for less than the limit is degraded",
      { entry: stoppedFor(9999), process: stopped(true) },
      "degraded",
      "stopped",
    ],
    [
      "stopped for the limit is unhealthy",
      { entry: stoppedFor(10_000), process: stopped(true) },
      "unhealthy",
      "stopped for 10 s",
    ],
    [
      "that ran since its host saw it stopped is judged by what is proven",
      { entry: stoppedFor(10_400), process: stopped(false) },
      "degraded",
      "stopped",
    ],
    [
      "that its host saw stopped for the limit is unhealthy without a look",
      { entry: stoppedFor(10_500) },
      "unhealthy",
      "stopped for 10 s",
    ],
    [
      "that goes on is healthy before its host sees that",
      { entry: stoppedFor(60_000), process: there },
      "healthy",
      "at work",
    ],
    [
      "without progress for less than the limit is healthy",
      { entry: still(299_999), process: there },
      "healthy",
      "at work",
    ],
    [
      "without progress is degraded",
      { entry: still(300_000), process: there },
      "degraded",
      "neither CPU time nor output for 5 min",
    ],
    [
      "whose host is late is degraded",
      { host: host({ beatAgeMs: 5000 }) },
      "degraded",
      "no beat of its host c1 for 5.0 s; the agent is there",
    ],
    [
      "whose host is stopped is degraded",
      { host: host({ stopped: true }) },
      "degraded",
      "its host c1 is stopped; the agent is there",
    ],
    [
      "whose host is gone is degraded",
      { host: host({ alive: false }) },
      "degraded",
      "its host c1 is gone; the agent is there",
    ],
    [
      "that lacks both signs is unhealthy",
      { entry: still(300_000), host: host({ beatAgeMs: 9000 }) },
      "unhealthy",
      "neither CPU time nor output for 5 min, and no beat of its host c1 for 9.0 s",
    ],
    [
      "that progresses though its host hangs is degraded",
      { entry: still(300_000), process: { seen: "there", progress: true }, host: host({ beatAgeMs: 60_000 }) },
      "degraded",
      "no beat of its host c1 for 60 s; the agent is there",
    ],
    [
      "that idles under a host that leaves with its run is healthy",
      { entry: undefined, host: host({ alive: false, leaving: true }) },
      "healthy",
      "idle",
    ],
  ])("%s", (_, facts, state, reason) => {
    expect(judged(facts)).toEqual({ state, reason });
  });
});

describe("a host", () => {
  test.each<[string, Partial<HostFacts>, Health["state"]]>([
    ["whose loop turns is healthy", {}, "healthy"],
    ["that missed a few beats is healthy", { beatAgeMs: 4999 }, "healthy"],
    ["whose beat is late is degraded", { beatAgeMs: 5000 }, "degraded"],
    ["whose beat is missing is unhealthy", { beatAgeMs: 10_000 }, "unhealthy"],
    ["that is stopped is degraded at once", { stopped: true, beatAgeMs: 0 }, "degraded"],
    ["that is stopped for the limit is unhealthy", { stopped: true, beatAgeMs: 10_000 }, "unhealthy"],
    ["that is gone is dead however fresh its beat is", { alive: false, beatAgeMs: 0 }, "dead"],
    ["that ends with its run is healthy, gone or not", { alive: false, leaving: true }, "healthy"],
  ])("%s", (_, changes, state) => {
    expect(judgeHost(host(changes), thresholds).state).toBe(state);
  });
});

test("the worst of several is that of the whole, and nothing is healthy", () => {
  const of = (state: Health["state"]): Health => ({ state, reason: "" });
  expect(worstOf([of("healthy"), of("unhealthy"), of("degraded")])).toBe("unhealthy");
  expect(worstOf([of("dead"), of("unhealthy")])).toBe("dead");
  expect(worstOf([])).toBe("healthy");
});

test("spans are read at a glance", () => {
  expect([-1, 400, 9999, 12_345, 119_999, 120_000].map(spanText)).toEqual([
    "0.0 s",
    "0.4 s",
    "10.0 s",
    "12 s",
    "119 s",
    "2 min",
  ]);
});
