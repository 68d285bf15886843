import { describe, expect, test } from "bun:test";
import { taskCount, taskList } from "../../src/chaos/errands.ts";
import { planStrikes, victimKinds } from "../../src/chaos/plan.ts";
import { seeded } from "../support/seed.ts";

const request = { seed: 7, agents: 200, durationMs: 30_000, kinds: victimKinds };

describe("the plan of strikes", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(planStrikes(request)).toEqual(planStrikes({ ...request }));
    expect(planStrikes(request)).not.toEqual(planStrikes({ ...request, seed: 8 }));
  });

  test("does to one kind the same whoever else is struck", () => {
    const alone = planStrikes({ ...request, kinds: ["coordinators"] });
    expect(planStrikes(request).filter(({ victim }) => victim === "coordinators")).toEqual(alone);
  });

  test("kills one of each kind at least, within the time and in its order", () => {
    const random = seeded("plans");
    for (let round = 0; round < 200; round++) {
      const durationMs = 1000 + random.below(60_000);
      const seed = random.below(2 ** 32);
      const plan = planStrikes({ seed, agents: 1 + random.below(1000), durationMs, kinds: victimKinds });
      for (const kind of victimKinds)
        expect(plan.some(({ victim, deed }) => victim === kind && deed === "kill")).toBe(true);
      expect(plan.map(({ atMs }) => atMs)).toEqual(plan.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
      for (const { atMs, pick, forMs, deed } of plan) {
        expect(atMs).toBeWithin(Math.floor(durationMs * 0.1), Math.ceil(durationMs * 0.9) + 1);
        expect(pick).toBeWithin(0, 1);
        expect(forMs > 0).toBe(deed !== "kill" && deed !== "flood");
      }
    }
  });

  test("has every deed for every kind that knows it, in a long time", () => {
    const plan = planStrikes({ ...request, durationMs: 600_000 });
    const done = new Set(plan.map(({ victim, deed }) => `${victim} ${deed}`));
    for (const kind of victimKinds)
      for (const deed of ["kill", "stop", "starve"]) expect(done).toContain(`${kind} ${deed}`);
    for (const rare of ["coordinators flood", "senders hold"]) expect(done).toContain(rare);
  });
});

test("the task list is a function of the seed, and long enough for the time", () => {
  const errands = { seed: 7, agents: 20, durationMs: 5000, inboxes: ["s1", "p1"] };
  const text = taskList(errands, "/agent.sh");
  expect(text).toBe(taskList({ ...errands }, "/agent.sh"));
  expect(text).not.toBe(taskList({ ...errands, seed: 8 }, "/agent.sh"));
  const tasks = text.trim().split("\n");
  expect(tasks).toHaveLength(taskCount(errands));
  const seconds = tasks.map((line) => Number((JSON.parse(line) as { run: string[] }).run[2]));
  expect(seconds.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(20 * 5 * 0.75);
});
