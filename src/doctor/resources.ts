/** Limits on processes, files, memory and processors. Pure. */
import type { needsOf, Surroundings } from "../coordinator/preflight.ts";
import { limits } from "../limits.ts";
import type { ResourceLimit } from "../os/rlimits.ts";
import { bytesText, type Check, countText, failed, ok, warn } from "./check.ts";

type Needs = ReturnType<typeof needsOf>;
type Missing = { readonly message: string; readonly remedy: string } | undefined;

export function descriptorsCheck({ soft, hard }: ResourceLimit, missing: Missing): Check {
  const name = "open_files";
  if (missing !== undefined) return failed(name, missing.message, missing.remedy);
  return ok(name, `ulimit -n ${countText(soft)}, hard limit ${countText(hard)}`);
}

export function processesCheck({ processes }: Surroundings, needs: Needs, agents: number, missing: Missing): Check {
  const name = "processes";
  if (missing !== undefined) return failed(name, missing.message, missing.remedy);
  const { free, limit, what } = processes;
  if (!Number.isFinite(free)) return ok(name, "nothing limits them");
  const figure = `${free} more (${what} is ${limit}), ${agents} agents need ${needs.processes}`;
  // An agent that starts one process of its own, as most do.
  if (free >= needs.processes + agents) return ok(name, figure);
  return warn(name, figure, "agents that start processes of their own may find none: raise that limit");
}

export interface MachineLimits {
  readonly fileBytes: ResourceLimit;
  readonly addressBytes: ResourceLimit;
  /** Of the whole machine; undefined where the kernel does not say. */
  readonly openFiles: { readonly open: number; readonly most: number } | undefined;
  readonly overcommit: number | undefined;
}

export function fileSizeCheck({ fileBytes: { soft } }: MachineLimits): Check {
  const name = "file_size";
  const figure = `ulimit -f: ${bytesText(soft)}`;
  if (soft < limits.busBytesLeast)
    return failed(
      name,
      figure,
      "files of the bus do not fit, and who writes them is ended by SIGXFSZ: ulimit -f unlimited",
    );
  if (soft < limits.outputBytes)
    return warn(
      name,
      figure,
      `an agent that prints more is ended by SIGXFSZ, before ${bytesText(limits.outputBytes)}: ulimit -f unlimited`,
    );
  return ok(name, figure);
}

export function addressSpaceCheck({ addressBytes: { soft }, overcommit }: MachineLimits): Check {
  const name = "address_space";
  const figure = `ulimit -v ${bytesText(soft)}, vm.overcommit_memory ${overcommit ?? "unknown"}`;
  if (Number.isFinite(soft))
    return warn(name, figure, "cfn reserves far more addresses than it uses memory: ulimit -v unlimited");
  if (overcommit === 2)
    return warn(
      name,
      figure,
      "reserved memory counts as used, and a process may not start: sysctl vm.overcommit_memory=0",
    );
  return ok(name, figure);
}

export function machineFilesCheck({ openFiles }: MachineLimits, processes: number): Check {
  const name = "machine_files";
  if (openFiles === undefined) return ok(name, "not told by the kernel");
  const { open, most } = openFiles;
  const need = processes * limits.descriptorsPerProcess;
  const figure = `${open} of fs.file-max ${most} are open`;
  return most - open >= need
    ? ok(name, figure)
    : warn(name, figure, `a run may need ${need}: sysctl fs.file-max=${2 * most}`);
}

export interface MemoryFacts {
  /** MemAvailable. */
  readonly availableBytes: number;
  /** What the control groups around this process leave of their memory.max; Infinity without. */
  readonly groupFreeBytes: number;
  readonly group: string | undefined;
}

export function memoryCheck(
  { availableBytes, groupFreeBytes, group }: MemoryFacts,
  agents: number,
  hosts: number,
): Check {
  const name = "memory";
  const free = Math.min(availableBytes, groupFreeBytes);
  const forAgents = Math.max(0, free - hosts * limits.hostMemoryBytes);
  const each = `${bytesText(forAgents / agents)} for each of ${agents} agents`;
  const bound = groupFreeBytes < availableBytes ? ` below ${group}/memory.max` : "";
  const figure = `${bytesText(free)} available${bound}: ${each}`;
  if (forAgents >= agents * limits.agentMemoryBytes) return ok(name, figure);
  return warn(
    name,
    figure,
    "a shell needs about 1 MiB, most programs far more, and messages in /dev/shm count as memory: fewer agents, or more memory",
  );
}

export interface ProcessorFacts {
  readonly cores: number;
  /** Cores' worth of time that the control groups allow; Infinity without. */
  readonly quota: number;
  readonly group: string | undefined;
}

export function processorsCheck({ cores, quota, group }: ProcessorFacts): Check {
  const name = "processors";
  if (quota >= cores) return ok(name, `${cores}`);
  const figure = `${cores}, of which ${group}/cpu.max allows ${Number(quota.toFixed(2))}`;
  if (quota >= 1) return ok(name, figure);
  return warn(
    name,
    figure,
    "a run that is paused for its share starts agents slowly and answers late: docker run --cpus, or limits.cpu",
  );
}
