import { describe, expect, test } from "bun:test";
import { reportFacts } from "../../src/chaos/findings.ts";
import { measureRecovery, quantiles, type Struck } from "../../src/chaos/recovery.ts";

const killed = (victim: Struck["victim"], target: string, at: number): Struck => ({ victim, deed: "kill", target, at });

describe("recovery times", () => {
  test("of a coordinator go from its kill to the next takeover of it", () => {
    const struck = [
      killed("coordinators", "c1", 10),
      killed("coordinators", "c2", 11),
      killed("coordinators", "c1", 20),
    ];
    const failovers = [
      { coordinator: "c1", cause: "killed", at: 10.25 },
      { coordinator: "c2", cause: "exited", at: 11.5 },
      { coordinator: "c1", cause: "killed", at: 20.125 },
      { coordinator: "c3", cause: "hung", at: 21 },
    ];
    const { coordinators } = measureRecovery(struck, failovers, [], []);
    expect(coordinators).toEqual({ count: 3, p50_ms: 250, p99_ms: 500, max_ms: 500, unmeasured: 0 });
  });

  test("are unknown where nothing was written down afterwards", () => {
    const before = [{ coordinator: "c1", cause: "killed", at: 9 }];
    const { coordinators } = measureRecovery([killed("coordinators", "c1", 10)], before, [], []);
    expect(coordinators).toEqual({ count: 0, p50_ms: 0, p99_ms: 0, max_ms: 0, unmeasured: 1 });
  });

  test("of a coordinator end at its next kill and at the master's death: what comes later has another cause", () => {
    const struck = [
      killed("coordinators", "c1", 10),
      killed("coordinators", "c1", 10.1),
      killed("coordinators", "c2", 12),
      killed("master", "master", 12.1),
    ];
    const failovers = [
      { coordinator: "c1", cause: "killed", at: 10.3 },
      { coordinator: "c2", cause: "killed", at: 15 },
    ];
    const { coordinators } = measureRecovery(struck, failovers, [], []);
    expect(coordinators).toMatchObject({ count: 1, max_ms: 200, unmeasured: 2 });
  });

  test("of a stopped coordinator count only where it was taken for hung", () => {
    const stop: Struck = { victim: "coordinators", deed: "stop", target: "c1", at: 10 };
    const failovers = [{ coordinator: "c1", cause: "killed", at: 10.5 }];
    expect(measureRecovery([stop], failovers, [], []).hung_coordinators.count).toBe(0);
    const hung = [{ coordinator: "c1", cause: "hung", at: 12 }];
    expect(measureRecovery([stop], hung, [], []).hung_coordinators).toMatchObject({ count: 1, max_ms: 2000 });
  });

  test("of an agent go to the next attempt of its task", () => {
    const begun = [
      { taskId: "t1", at: 9 },
      { taskId: "t2", at: 10.1 },
      { taskId: "t1", at: 10.5 },
    ];
    const { agents } = measureRecovery([killed("agents", "t1", 10)], [], begun, []);
    expect(agents).toMatchObject({ count: 1, max_ms: 500 });
  });

  test("of the master go to the first agent after the resume", () => {
    const begun = [10.1, 12.5, 13].map((at, n) => ({ taskId: `t${n}`, at }));
    const { master } = measureRecovery([killed("master", "master", 10)], [], begun, [12]);
    expect(master).toMatchObject({ count: 1, max_ms: 2500, unmeasured: 0 });
  });

  test("are ranked: p99 of a hundred is the last but one", () => {
    const samples = Array.from({ length: 100 }, (_, n) => n + 1);
    expect(quantiles(samples.toReversed(), 2)).toEqual({
      count: 100,
      p50_ms: 50,
      p99_ms: 99,
      max_ms: 100,
      unmeasured: 2,
    });
  });
});

test("a report tells its failovers, and an older one none", () => {
  const failover = { coordinator: "c1", epoch: 2, cause: "killed", at: 5.5, adopted: 3, reassigned: 4 };
  const text = JSON.stringify({ status: "completed", delivery: { rate: 1 }, failovers: [failover], orphans_ended: 2 });
  const { coordinator, cause, at, adopted, reassigned } = failover;
  expect(reportFacts(text)).toEqual({
    status: "completed",
    deliveryRate: 1,
    failovers: [{ coordinator, cause, at, adopted, reassigned }],
    orphansEnded: 2,
  });
  expect(reportFacts('{"status":"failed"}')).toMatchObject({ status: "failed", failovers: [], deliveryRate: null });
  expect(reportFacts(undefined).status).toBe("none");
  expect(reportFacts("{").status).toBe("unreadable");
});
