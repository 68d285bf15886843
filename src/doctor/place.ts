/** The place of the bus: /dev/shm, what stands in for it, and how much fits. Pure. */
import { busBytesIn } from "../bus/creation.ts";
import type { Base } from "../bus/directory.ts";
import type { Surroundings } from "../coordinator/preflight.ts";
import { limits } from "../limits.ts";
import type { Space, Stat } from "../os/file.ts";
import type { Mount } from "../os/mounts.ts";
import type { FileFeature } from "../os/probe.ts";
import { bytesText, type Check, failed, listText, ok, warn } from "./check.ts";

export interface ShmFacts {
  readonly stat: Stat | undefined;
  readonly space: Space | undefined;
  readonly mount: Mount | undefined;
  readonly writable: boolean;
  /** Whether buses may be in it: `bus.base_dir` names no other place. */
  readonly used: boolean;
  readonly uid: number;
}

const needBytes = 2 * limits.busBytesLeast;
const elsewhere = "or set CFN_MESSAGE_BASE_DIR to a directory of yours on a tmpfs";
const enlarge = `enlarge it: mount -o remount,size=1g /dev/shm; docker run --shm-size=1g; in Kubernetes an emptyDir with medium: Memory; ${elsewhere}`;

/** /dev/shm itself. Where it cannot serve a run takes another place, and `placeCheck` says whether there is one. */
export function shmCheck({ stat, space, mount, writable, used, uid }: ShmFacts): Check {
  const name = "dev_shm";
  if (!used) return ok(name, "not used: bus.base_dir names another place");
  if (stat === undefined || space === undefined)
    return warn(name, "/dev/shm does not exist", `mount -t tmpfs -o mode=1777 tmpfs /dev/shm, ${elsewhere}`);
  const mode = stat.mode.toString(8).padStart(4, "0");
  const size = `${bytesText(space.freeBytes)} free of ${bytesText(space.totalBytes)}`;
  const figure = `${mount?.type ?? "unknown file system"}, ${size}, mode ${mode}`;
  if (mount?.options.includes("ro"))
    return warn(
      name,
      `read-only: ${figure}`,
      `mount -o remount,rw /dev/shm; docker: without --read-only, or with --tmpfs /dev/shm; ${elsewhere}`,
    );
  if (!writable)
    return warn(
      name,
      `not writable for user ${uid}: owner ${stat.uid}, ${figure}`,
      `chmod 1777 /dev/shm, ${elsewhere}`,
    );
  if (space.totalBytes < needBytes)
    return warn(name, `too small for a bus (${bytesText(needBytes)}): ${figure}`, enlarge);
  if (space.freeBytes < needBytes)
    return warn(
      name,
      `full, a bus needs ${bytesText(needBytes)}: ${figure}`,
      `remove what fills it (du -a /dev/shm; cfn doctor --fix for what dead runs left), or ${enlarge}`,
    );
  if (space.freeFiles < limits.busFilesLeast)
    return warn(
      name,
      `room for ${space.freeFiles} more files, a bus needs ${limits.busFilesLeast}: ${figure}`,
      "remove files there, or mount -o remount,nr_inodes=1m /dev/shm",
    );
  if (!space.tmpfs)
    return warn(name, `not in memory: ${figure}`, `mount a tmpfs there: messages would go to a disk; ${elsewhere}`);
  if ((stat.mode & 0o1002) === 0o0002)
    return warn(name, `others may remove the bus, the sticky bit is missing: ${figure}`, "chmod 1777 /dev/shm");
  if (stat.uid !== 0 && stat.uid !== uid)
    return warn(name, `user ${stat.uid} owns it and may remove the bus: ${figure}`, "chown root:root /dev/shm");
  if ((stat.mode & 0o7777) !== 0o1777)
    return warn(name, `not open to every user: ${figure}`, "chmod 1777 /dev/shm, as everywhere");
  return ok(name, figure);
}

/** The base that a run would take: the first that is fit. */
export const chosenBase = (bases: readonly Base[]): Base | undefined => bases.find(({ unfit }) => unfit === undefined);

export function placeCheck(bases: readonly Base[], mount: Mount | undefined): Check {
  const name = "bus_place";
  const base = chosenBase(bases);
  if (base === undefined) {
    const reasons = bases.map(({ unfit }) => unfit).join("; ");
    return failed(name, `no place for a bus: ${reasons}`, "free some space there, or set CFN_MESSAGE_BASE_DIR");
  }
  const { dir, unsafe } = base;
  if (unsafe !== undefined) return failed(name, unsafe.message, unsafe.remedy);
  const figure = `${dir} (${mount?.type ?? "unknown file system"})`;
  if (base === bases[0]) return ok(name, figure);
  const [first] = bases as readonly [Base];
  return warn(name, `${figure} instead of ${first.dir}`, `a run works there, perhaps slower; ${first.unfit}`);
}

/** How much the bus may hold. `missing`: what `cfn run` would say. */
export function spaceCheck(there: Surroundings, missing: (Error & { remedy?: string }) | undefined): Check {
  const name = "bus_space";
  const busBytes = busBytesIn(there.freeBytes);
  if (missing !== undefined) return failed(name, missing.message, missing.remedy ?? "");
  const figure = `${bytesText(there.freeBytes)} free: messages may take ${bytesText(busBytes)}`;
  if (busBytes < limits.inboxBytes)
    return warn(
      name,
      `${figure}, less than one full inbox (${bytesText(limits.inboxBytes)})`,
      `senders wait sooner, and large messages do not fit; ${enlarge}`,
    );
  return ok(name, figure);
}

export function filesCheck(place: string, missing: readonly FileFeature[] | undefined): Check {
  const name = "bus_files";
  if (missing === undefined)
    return failed(
      name,
      `no directory can be made in ${place}`,
      "see dev_shm and bus_place, or set CFN_MESSAGE_BASE_DIR",
    );
  if (missing.length > 0)
    return failed(
      name,
      `${place} does not do ${missing.join(", ")}`,
      "set CFN_MESSAGE_BASE_DIR to a directory on a tmpfs",
    );
  return ok(name, "reserving, mapping, flock, OFD locks, FIFOs, links, renaming: tried, all work");
}

/** The output of agents waits beside the bus where that is roomy, else where temporary files go. */
export function outputCheck(spool: string, freeBytes: number): Check {
  const name = "output_space";
  const figure = `${spool}, ${bytesText(freeBytes)} free`;
  if (freeBytes >= limits.spoolBytesTight) return ok(name, figure);
  return warn(name, figure, "the output of agents waits there: free some space, or set TMPDIR to a roomier directory");
}

export interface StateFacts {
  readonly root: string | undefined;
  /** Why nothing can be written there. */
  readonly problem: string | undefined;
  readonly freeBytes: number;
}

export function stateCheck({ root, problem, freeBytes }: StateFacts): Check {
  const name = "journals";
  if (root === undefined || problem !== undefined)
    return warn(
      name,
      problem ?? "neither XDG_STATE_HOME nor HOME names a directory",
      "a run works, but cannot be resumed: set XDG_STATE_HOME to a directory of yours",
    );
  const figure = `${root}, ${bytesText(freeBytes)} free`;
  if (freeBytes >= limits.spoolBytesTight) return ok(name, figure);
  return warn(name, figure, "a journal that finds no room ends, and its run cannot be resumed: free some space");
}

/** Runs that were killed: no fault of the machine. */
export function resumableCheck(runIds: readonly string[]): Check {
  const name = "unfinished_runs";
  if (runIds.length === 0) return ok(name, "none");
  return ok(name, `${runIds.length}, to be finished by cfn run --resume=ID: ${listText(runIds)}`);
}
