import { describe, expect, test } from "bun:test";
import { planShape, type ShapeRequest } from "../../src/coordinator/shape.ts";
import { limits } from "../../src/limits.ts";

const { hybridFromWorkers } = limits;

const plan = (request: Partial<ShapeRequest>) => planShape({ taskList: false, cores: 2, ...request });

describe("the shape of a swarm", () => {
  test("without anything is one flat worker", () => {
    expect(plan({})).toEqual({ topology: "flat", teams: [1], workers: 1 });
  });

  test("with a task list has two workers per core", () => {
    expect(plan({ taskList: true, cores: 4 }).workers).toBe(8);
  });

  test("is K times W where both are given", () => {
    expect(plan({ coordinators: 7, workersPerCoordinator: 100 })).toEqual({
      topology: "hybrid",
      teams: [100, 100, 100, 100, 100, 100, 100],
      workers: 700,
    });
  });

  test("spreads workers over coordinators so that teams differ by one at most", () => {
    expect(plan({ agents: 708, coordinators: 7 }).teams).toEqual([102, 101, 101, 101, 101, 101, 101]);
  });

  test("has no coordinator without a worker", () => {
    expect(plan({ agents: 3, coordinators: 7 }).teams).toEqual([1, 1, 1]);
  });

  test("takes as many coordinators as the team size asks for", () => {
    expect(plan({ agents: 250, workersPerCoordinator: 100 }).teams).toEqual([84, 83, 83]);
  });

  test("is hybrid from a bound on, and flat below it or where flat was asked for", () => {
    expect(plan({ agents: hybridFromWorkers - 1 }).topology).toBe("flat");
    expect(plan({ agents: hybridFromWorkers }).topology).toBe("hybrid");
    expect(plan({ agents: hybridFromWorkers, topology: "flat" }).topology).toBe("flat");
  });

  test("of so many agents has a coordinator per core, and at least two", () => {
    expect(plan({ agents: 1000, cores: 4 }).teams).toHaveLength(4);
    expect(plan({ agents: 1000, cores: 1 }).teams).toHaveLength(2);
    expect(plan({ agents: 100, cores: 4, topology: "hybrid" }).teams).toHaveLength(4);
    expect(plan({ agents: 100, cores: 4, topology: "hybrid", coordinators: 7 }).teams).toHaveLength(7);
  });
});
