/** Which swarm to make of what was asked for. Pure. */
import { CfnError } from "../errors.ts";
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
 * From this many workers on, `auto` makes the swarm hybrid, with a coordinator per core: below, starting them costs more
 * than they save; above, agents start from several processes at once, and one that dies takes a part of the swarm with it.
 */
export const hybridFromWorkers = 500;

/**
 * Workers: `--agents`, else K×W, else two per core for a task list and one without. Topology `auto`: hybrid where
 * `--coordinators` or `--workers-per-coordinator` is given, or from `hybridFromWorkers` workers on; else flat. For
 * `--agents` there is a coordinator per core unless their number is given.
 *
 * @throws CfnError usage where the numbers contradict each other or pass a limit.
 */
export function planShape(request: ShapeRequest): Shape {
  const { coordinators, workersPerCoordinator: perTeam } = request;
  const shaped = coordinators !== undefined || perTeam !== undefined;
  if (request.topology === "flat" && shaped) {
    throw new CfnError(
      "usage",
      "a flat swarm has one coordinator: --coordinators and --workers-per-coordinator do not apply",
      "use --topology hybrid, or give --agents alone",
    );
  }
  const product = (coordinators ?? limits.coordinatorsDefault) * (perTeam ?? limits.workersPerCoordinatorDefault);
  const fallback = request.taskList ? 2 * request.cores : 1;
  const hybridAsked = shaped || request.topology === "hybrid";
  const workers = request.agents ?? (hybridAsked ? product : fallback);
  if (workers > limits.agentsMax) {
    throw new CfnError("usage", `${workers} agents: at most ${limits.agentsMax} may be alive at once`, "ask for fewer");
  }
  const hybrid = hybridAsked || (request.topology !== "flat" && workers >= hybridFromWorkers);
  if (!hybrid) return { topology: "flat", teams: [workers], workers };
  if (coordinators !== undefined && perTeam !== undefined && workers > coordinators * perTeam) {
    throw new CfnError(
      "usage",
      `--agents ${workers} do not fit ${coordinators} coordinators with ${perTeam} workers each`,
      "raise --coordinators or --workers-per-coordinator, or leave one of the three out",
    );
  }
  const perCore = Math.max(2, Math.min(request.cores, limits.coordinatorsMax));
  const usual = request.agents === undefined ? limits.coordinatorsDefault : perCore;
  const wanted = coordinators ?? (perTeam === undefined ? usual : Math.ceil(workers / perTeam));
  if (wanted > limits.coordinatorsMax) {
    throw new CfnError(
      "usage",
      `${workers} agents with ${perTeam} per coordinator make ${wanted} coordinators: at most ${limits.coordinatorsMax}`,
      "raise --workers-per-coordinator",
    );
  }
  return { topology: "hybrid", teams: split(workers, Math.min(wanted, workers)), workers };
}

/** `total` in `parts` whole numbers that differ by at most one, the larger ones first. */
function split(total: number, parts: number): number[] {
  const least = Math.floor(total / parts);
  return Array.from({ length: parts }, (_, n) => least + (n < total % parts ? 1 : 0));
}
