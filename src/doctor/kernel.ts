/** What of the kernel and of the system's programs a run uses. Pure: the trying was done before. */
import { type Check, failed, ok, warn } from "./check.ts";

export interface KernelFacts {
  readonly release: string;
  readonly memoryFile: boolean;
  readonly subreaper: boolean;
  readonly parentDeathSignal: boolean;
  /** Why a shell cannot be started; undefined if it can. */
  readonly shell: string | undefined;
  /** Programs that the guardian of a run needs and that are not on PATH. */
  readonly missingPrograms: readonly string[];
  /** /proc is there, and that of this pid namespace. */
  readonly proc: boolean;
  readonly locks: boolean;
  readonly pressure: boolean;
  /** A run can be given a control group of its own. */
  readonly group: boolean;
}

export function kernelCheck({ release, memoryFile, subreaper, parentDeathSignal }: KernelFacts): Check {
  const name = "kernel";
  const tried = { memfd_create: memoryFile, "a subreaper": subreaper, "a parent-death signal": parentDeathSignal };
  const missing = Object.entries(tried).flatMap(([what, works]) => (works ? [] : [what]));
  if (!memoryFile)
    return failed(
      name,
      `${release} without ${missing.join(", ")}`,
      "tasks cannot be handed over: allow memfd_create (seccomp profile)",
    );
  if (missing.length > 0)
    return warn(
      name,
      `${release} without ${missing.join(", ")}`,
      "what agents leave behind is not all found: allow prctl (seccomp profile), or run on Linux itself",
    );
  return ok(name, `${release}: memfd, subreaper, parent-death signal: tried, all work`);
}

export function shellCheck({ shell, missingPrograms }: KernelFacts): Check {
  const name = "shell";
  if (shell !== undefined) return failed(name, shell, "tasks and the guardian of a run need /bin/sh: install one");
  if (missingPrograms.length > 0)
    return warn(
      name,
      `not on PATH: ${missingPrograms.join(", ")}`,
      "the guardian of a run needs them to clean up after a SIGKILL: install coreutils and grep, or busybox",
    );
  return ok(name, "/bin/sh was started; what the guardian needs is on PATH");
}

export function procCheck({ proc, locks, pressure }: KernelFacts): Check {
  const name = "proc";
  if (!proc)
    return failed(
      name,
      "/proc is missing, or that of another pid namespace",
      "mount -t proc proc /proc (unshare --mount-proc)",
    );
  if (!locks)
    return warn(
      name,
      "without /proc/locks",
      "a process that is stopped inside a lock of the bus is not found, others wait for it",
    );
  return ok(name, pressure ? "with locks and pressure" : "with locks; no /proc/pressure: the load average stands in");
}

export function groupCheck({ group }: KernelFacts): Check {
  const name = "control_group";
  if (group) return ok(name, "a run gets one of its own: nothing outlives a SIGKILL of cfn run");
  return warn(
    name,
    "a run gets none of its own (needs cgroup v2, writable)",
    "if cfn run is SIGKILLed, an agent's child with a session and an environment of its own stays: systemd-run --user --scope -p Delegate=yes cfn run …",
  );
}
