/** The swarm's limits, checked before it starts: raised where that is allowed, refused with the remedy where it is not. */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { formatBytes } from "../message/quantity.ts";
import { spaceAround } from "../os/file.ts";
import { type ProcessRoom, processRoom } from "../os/pids.ts";
import { type ResourceLimit, raiseDescriptors } from "../os/rlimits.ts";
import type { Shape } from "./shape.ts";

export interface Surroundings {
  readonly descriptors: ResourceLimit;
  readonly processes: ProcessRoom;
  /** Of the file system that holds the bus. */
  readonly freeBytes: number;
  readonly freeFiles: number;
  readonly busPlace: string;
}

interface Needs {
  /** Of the process that needs most. */
  readonly descriptors: number;
  readonly processes: number;
  readonly bytes: number;
  readonly files: number;
}

/** Threads of one cfn process: Bun's own. They count as processes where the kernel counts. */
const THREADS_PER_PROCESS = 16;

export function needsOf(shape: Shape): Needs {
  const processes = shape.topology === "hybrid" ? shape.teams.length + 1 : 1;
  return {
    descriptors: limits.descriptorsPerProcess,
    processes: shape.workers + processes * THREADS_PER_PROCESS,
    bytes: limits.busBytesLeast + shape.workers * limits.agentSpaceBytes,
    files: limits.busFilesLeast + shape.workers * limits.agentFiles,
  };
}

/** What is missing; undefined if nothing is. Pure. */
export function shortage(needs: Needs, there: Surroundings, workers: number): CfnError | undefined {
  const { descriptors, processes, freeBytes, freeFiles, busPlace } = there;
  if (descriptors.soft < needs.descriptors) {
    return new CfnError(
      "unavailable",
      `the swarm needs ${needs.descriptors} open files at once, the limit is ${descriptors.soft} (hard limit ${descriptors.hard})`,
      `raise it: ulimit -n ${needs.descriptors}`,
    );
  }
  if (processes.free < needs.processes) {
    const fit = Math.max(0, Math.floor(workers + processes.free - needs.processes));
    return new CfnError(
      "unavailable",
      `${workers} agents need ${needs.processes} processes and threads, ${processes.what} (${processes.limit}) leaves ${Math.max(0, processes.free)}`,
      `raise that limit, or ask for ${fit > 0 ? `at most --agents ${fit}` : "fewer agents"}`,
    );
  }
  if (freeBytes < needs.bytes) {
    const fit = Math.max(0, Math.floor((freeBytes - limits.busBytesLeast) / limits.agentSpaceBytes));
    return new CfnError(
      "unavailable",
      `${workers} agents need ${formatBytes(needs.bytes)} for the bus, ${busPlace} has ${formatBytes(freeBytes)} free`,
      `free or enlarge it (docker run --shm-size), set CFN_MESSAGE_BASE_DIR to another place${fit > 0 ? `, or ask for at most --agents ${fit}` : ""}`,
    );
  }
  if (freeFiles < needs.files) {
    return new CfnError(
      "unavailable",
      `${workers} agents need ${needs.files} files for the bus, ${busPlace} has room for ${freeFiles}`,
      "remove files there, mount it with more (nr_inodes), or set CFN_MESSAGE_BASE_DIR to another place",
    );
  }
  return undefined;
}

/** How many agents a flat swarm can have; 0 where it cannot start. Pure. */
export function roomForAgents({ descriptors, processes, freeBytes, freeFiles }: Surroundings): number {
  if (descriptors.hard < limits.descriptorsPerProcess) return 0;
  const fit = Math.min(
    limits.agentsMax,
    processes.free - THREADS_PER_PROCESS,
    (freeBytes - limits.busBytesLeast) / limits.agentSpaceBytes,
    (freeFiles - limits.busFilesLeast) / limits.agentFiles,
  );
  return Math.max(0, Math.floor(fit));
}

/** `busPlace`: the directory of buses, there or not: others may remove it while it is empty. Throws CfnError("unavailable"). */
export function checkLimits(shape: Shape, busPlace: string): void {
  const needs = needsOf(shape);
  const { freeBytes, freeFiles } = spaceAround(busPlace);
  const there: Surroundings = {
    descriptors: raiseDescriptors(needs.descriptors),
    processes: processRoom(),
    freeBytes,
    freeFiles,
    busPlace,
  };
  const missing = shortage(needs, there, shape.workers);
  if (missing !== undefined) throw missing;
}
