/** Looks at the machine: everything that the checks judge. Changes nothing but for the probe, which it removes. */
import type { Base, Env } from "../bus/directory.ts";
import { journalRoot } from "../coordinator/journalfolder.ts";
import type { Surroundings } from "../coordinator/preflight.ts";
import { planSpool, temporarySpace } from "../coordinator/spool.ts";
import { CfnError } from "../errors.ts";
import { subgroup } from "../os/cgroup.ts";
import { isOwnProc, startVariables } from "../os/descendants.ts";
import { closeFile, fileSystemSpace, isWritable, readText, statPath } from "../os/file.ts";
import { type GroupBound, groupMemory, groupProcessors } from "../os/grouplimits.ts";
import { machineMemoryBytes } from "../os/load.ts";
import { findProgram } from "../os/lookup.ts";
import { memoryFile } from "../os/memfd.ts";
import { type Mount, mountOf } from "../os/mounts.ts";
import { numberIn, processRoom } from "../os/pids.ts";
import { missingShell } from "../os/probe.ts";
import { effectiveUid } from "../os/process.ts";
import { resourceLimit } from "../os/rlimits.ts";
import { becomeSubreaper, signalWhenParentDies } from "../os/subreaper.ts";
import { listDirectory } from "../os/tree.ts";
import type { KernelFacts } from "./kernel.ts";
import type { Places } from "./leftovers.ts";
import { dropIns, type LogindFacts } from "./logind.ts";
import type { ShmFacts, StateFacts } from "./place.ts";
import type { MachineLimits } from "./resources.ts";
import type { Clues } from "./surroundings.ts";

const SHM = "/dev/shm";

export function shmFacts(bases: readonly Base[], all: readonly Mount[]): ShmFacts {
  return {
    stat: statPath(SHM, true),
    space: fileSystemSpace(SHM),
    mount: mountOf(SHM, all),
    writable: isWritable(SHM),
    used: bases.some(({ dir }) => dir.startsWith(`${SHM}/`)),
    uid: effectiveUid(),
  };
}

/** `place`: an existing directory of the file system that the bus would be on. */
export function surroundings(place: string): Surroundings {
  const space = fileSystemSpace(place);
  return {
    descriptors: resourceLimit("descriptors"),
    processes: processRoom(),
    freeBytes: space?.freeBytes ?? 0,
    freeFiles: space?.freeFiles ?? 0,
    busPlace: place,
  };
}

/** Where the output of a run would wait. */
export function outputPlace(base: Base, tmp: string | undefined): { readonly dir: string; readonly freeBytes: number } {
  const spool = planSpool(`${base.dir}/run-0`, tmp, "0");
  if (!spool.startsWith(base.dir)) return temporarySpace(tmp);
  return { dir: base.dir, freeBytes: fileSystemSpace(base.place)?.freeBytes ?? 0 };
}

export function stateFacts(env: Env): StateFacts {
  let root: string;
  try {
    root = journalRoot(env);
  } catch (error) {
    if (!(error instanceof CfnError)) throw error;
    return { root: undefined, problem: error.message, freeBytes: 0 };
  }
  let place = root;
  while (place !== "" && statPath(place, true) === undefined) place = place.slice(0, place.lastIndexOf("/"));
  const near = place || "/";
  const stat = statPath(near);
  const mode = stat?.mode ?? 0;
  const own = near.length > root.length - "cfn/runs".length;
  let problem: string | undefined;
  if (!isWritable(near)) problem = `${near} is not writable`;
  else if (own && stat?.type !== "directory") problem = `${near} is a ${stat?.type}, not a directory`;
  else if (own && stat?.uid !== effectiveUid()) problem = `${near} belongs to user ${stat?.uid}`;
  else if (own && (mode & 0o022) !== 0) problem = `${near} may be written by others`;
  return { root, problem, freeBytes: fileSystemSpace(near)?.freeBytes ?? 0 };
}

export function places(env: Env, bases: readonly Base[]): Places {
  return {
    bases: bases.map(({ dir }) => dir),
    probed: [...bases.map(({ place }) => place), temporarySpace(env["TMPDIR"]).dir],
    tmp: env["TMPDIR"],
    journals: stateFacts(env).root,
  };
}

export function machineLimits(): MachineLimits {
  const [open, , most] = readText("/proc/sys/fs/file-nr")?.trim().split(/\s+/).map(Number) ?? [];
  return {
    fileBytes: resourceLimit("fileBytes"),
    addressBytes: resourceLimit("addressBytes"),
    openFiles: open === undefined || most === undefined ? undefined : { open, most },
    overcommit: numberIn("/proc/sys/vm/overcommit_memory"),
  };
}

export const memoryFacts = (group: GroupBound = groupMemory()) => ({
  availableBytes: machineMemoryBytes(),
  groupFreeBytes: group.left,
  group: group.group,
});

export const processorFacts = (cores: number, group: GroupBound = groupProcessors()) => ({
  cores,
  quota: group.left,
  group: group.group,
});

/** Tries; a shell is started. */
export async function kernelFacts(env: Env): Promise<KernelFacts> {
  const memory = memoryFile("doctor");
  if (memory >= 0) closeFile(memory);
  return {
    release: readText("/proc/sys/kernel/osrelease")?.trim() ?? "unknown release",
    memoryFile: memory >= 0,
    subreaper: becomeSubreaper(),
    // 0 asks for no signal: it changes nothing and is refused where the call is.
    parentDeathSignal: signalWhenParentDies(0),
    shell: await missingShell(),
    missingPrograms: ["grep", "rm", "rmdir", "sleep"].filter((program) => !findProgram(program, env["PATH"])),
    proc: isOwnProc(),
    locks: readText("/proc/locks") !== undefined,
    pressure: readText("/proc/pressure/cpu") !== undefined,
    group: subgroup("cfn-probe") !== undefined,
  };
}

const configured = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

export function logindFacts(env: Env, base: string | undefined): LogindFacts {
  const uid = effectiveUid();
  const line = readText("/etc/passwd")
    ?.split("\n")
    .find((each) => each.split(":")[2] === String(uid));
  const user = line?.split(":")[0] ?? env["USER"] ?? String(uid);
  const main = configured.map((path) => `${path}/logind.conf`).find((path) => statPath(path, true) !== undefined);
  const directories = configured.map((path) => `${path}/logind.conf.d`);
  const files = dropIns(directories.map((path) => ({ path, names: listDirectory(path) })));
  const most = /^SYS_UID_MAX\s+(\d+)/m.exec(readText("/etc/login.defs") ?? "")?.[1];
  return {
    running: statPath("/run/systemd/seats") !== undefined,
    texts: [...(main === undefined ? [] : [main]), ...files].map((path) => readText(path) ?? ""),
    uid,
    systemUidMost: Number(most ?? 999),
    user,
    lingers: statPath(`/var/lib/systemd/linger/${user}`) !== undefined,
    base,
  };
}

export function clues(env: Env): Clues {
  const first = (...paths: string[]): string => paths.map((path) => readText(path)?.trim() ?? "").join(" ");
  return {
    dockerFile: statPath("/.dockerenv") !== undefined,
    podmanFile: statPath("/run/.containerenv") !== undefined,
    declared: readText("/run/systemd/container")?.trim() ?? startVariables(1)?.["container"] ?? "",
    kubernetes: env["KUBERNETES_SERVICE_HOST"] !== undefined,
    processVersion: first("/proc/version"),
    controlGroups: first("/proc/self/cgroup"),
    hardware: first("/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name"),
    hypervisorFlag: /^flags\s*:.*\bhypervisor\b/m.test(readText("/proc/cpuinfo", 16 << 20) ?? ""),
  };
}
