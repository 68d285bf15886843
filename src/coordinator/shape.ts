/** Which swarm to make of what was asked for. Pure. */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";

export interface ShapeRequest {
  readonly agents?: number | undefined;
  readonly topology?: "auto" | "flat" | "hybrid" | undefined;
  readonly coordinators?: number | undefined;
  readonly workersPerCoordinator?: number | undefined;
  /** Without one each agent gets one task. */
  readonly taskList: boolean;
  readonly cores: number;
}

export interface Shape {
  readonly topology: "flat" | "hybrid";
  /** Workers of each coordinator; one entry for a flat swarm. */
  readonly teams: readonly number[];
  readonly workers: number;
}

/**
 * Workers: `--agents`, else K×W, else two per core for a task list and one without. Topology `auto`: hybrid where
 * `--coordinators` or `--workers-per-coordinator` is given, or from `limits.hybridFromWorkers` workers on; else flat. For
 * `--agents` there is a coordinator per core unless their number is given. That the numbers do not contradict each other
 * and pass no limit is known of settings (`config/contradictions.ts`).
 */
export function planShape(request: ShapeRequest): Shape {
  const { coordinators, workersPerCoordinator: perTeam } = request;
  const shaped = coordinators !== undefined || perTeam !== undefined;
  const product = (coordinators ?? limits.coordinatorsDefault) * (perTeam ?? limits.workersPerCoordinatorDefault);
  const fallback = request.taskList ? 2 * request.cores : 1;
  const hybridAsked = shaped || request.topology === "hybrid";
  const workers = request.agents ?? (hybridAsked ? product : fallback);
  const hybrid = hybridAsked || (request.topology !== "flat" && workers >= limits.hybridFromWorkers);
  if (!hybrid) return { topology: "flat", teams: [workers], workers };
  const perCore = Math.max(2, Math.min(request.cores, limits.coordinatorsMax));
  const usual = request.agents === undefined ? limits.coordinatorsDefault : perCore;
  const wanted = coordinators ?? (perTeam === undefined ? usual : Math.ceil(workers / perTeam));
  assert(workers <= limits.agentsMax && wanted <= limits.coordinatorsMax, "settings that pass a limit are refused");
  return { topology: "hybrid", teams: split(workers, Math.min(wanted, workers)), workers };
}

/** `total` in `parts` whole numbers that differ by at most one, the larger ones first. */
function split(total: number, parts: number): number[] {
  const least = Math.floor(total / parts);
  return Array.from({ length: parts }, (_, n) => least + (n < total % parts ? 1 : 0));
}
