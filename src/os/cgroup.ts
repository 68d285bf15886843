/** Control groups: what limits this process, and (version 2) the only thing that holds every descendant, whatever it did to get away. */
import { isWritable, readText, removeDirectory } from "./file.ts";
import { type Mount, mounts } from "./mounts.ts";
import { listDirectory } from "./tree.ts";

interface Group {
  /** Where its hierarchy is mounted. */
  readonly point: string;
  /** Undefined where the mount does not show it. */
  readonly directory: string | undefined;
}

/** What the kernel tells of this process's groups. */
interface Told {
  readonly groups: readonly string[];
  readonly all: readonly Mount[];
}

const told = (): Told => ({ groups: (readText("/proc/self/cgroup") ?? "").split("\n"), all: mounts() });

/** This process's group of one hierarchy ("" is the unified one); undefined where that is not mounted. */
function groupIn({ groups, all }: Told, hierarchy: string, isMount: (mount: Mount) => boolean): Group | undefined {
  for (const line of groups) {
    const [, controllers, ...path] = line.split(":");
    if (controllers === undefined || !controllers.split(",").includes(hierarchy)) continue;
    const mount = all.find(isMount);
    if (mount === undefined) return undefined;
    const { point } = mount;
    const own = path.join(":");
    const root = mount.root === "/" ? "" : mount.root;
    if (!own.startsWith(root)) return { point, directory: undefined };
    const below = own.slice(root.length);
    return { point, directory: point + (below === "/" ? "" : below) };
  }
  return undefined;
}

/** This process's group in the unified hierarchy. */
const unified = (by: Told): Group | undefined => groupIn(by, "", ({ type }) => type === "cgroup2");

/** Directories of this process's group and of those around it, inner ones first: of version 2, and of this controller in version 1. */
export function controlGroups(controller: "pids" | "memory" | "cpu"): string[] {
  const directories: string[] = [];
  const by = told();
  const old = groupIn(by, controller, ({ type, options }) => type === "cgroup" && options.includes(controller));
  for (const group of [unified(by), old]) {
    if (group === undefined) continue;
    // A container may see its own group as the root of the mount, and be told the path that the host sees.
    const { point, directory = point } = group;
    for (let path = directory; path.length >= point.length; path = path.slice(0, path.lastIndexOf("/")))
      directories.push(path);
  }
  return directories;
}

/** The directory of the group that this process is in, if groups can be made and processes moved there. */
function ownGroup(): string | undefined {
  const directory = unified(told())?.directory;
  if (directory === undefined) return undefined;
  return isWritable(directory) && isWritable(`${directory}/cgroup.procs`) ? directory : undefined;
}

/**
 * The directory of a group of that name below the one that this process is in, if processes may be moved there. It is not
 * made yet. Undefined where there is no version 2, or it is not ours to change, as in most containers and sessions.
 */
export function subgroup(name: string): string | undefined {
  const directory = ownGroup();
  return directory === undefined ? undefined : `${directory}/${name}`;
}

/** The groups below ours that are named `<prefix><12 letters or digits>` and hold no process. */
export function emptySubgroups(prefix: string, directory = ownGroup()): string[] {
  if (directory === undefined) return [];
  return listDirectory(directory)
    .filter((name) => name.startsWith(prefix) && /^[0-9a-z]{12}$/.test(name.slice(prefix.length)))
    .map((name) => `${directory}/${name}`)
    .filter((group) => readText(`${group}/cgroup.procs`) === "");
}

/** As `subgroup`, for `<prefix><id>`; removes those of `emptySubgroups`, of which the kernel keeps those that are not empty any more. */
export function clearedSubgroup(prefix: string, id: string): string | undefined {
  const directory = ownGroup();
  if (directory === undefined) return undefined;
  for (const group of emptySubgroups(prefix, directory)) removeDirectory(group);
  return `${directory}/${prefix}${id}`;
}
