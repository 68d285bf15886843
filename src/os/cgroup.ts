/** Control groups: those of version 2 are the only thing that holds every descendant, whatever it did to get away. */
import { isWritable, readText, removeDirectory } from "./file.ts";
import { listDirectory } from "./tree.ts";

/** Directories of this process's control group and of those around it: version 2, and this controller of version 1. */
export function controlGroups(controller: "pids" | "memory"): string[] {
  const directories: string[] = [];
  for (const line of (readText("/proc/self/cgroup") ?? "").split("\n")) {
    const [hierarchy, controllers, group] = line.split(":");
    if (group === undefined || (hierarchy !== "0" && controllers !== controller)) continue;
    const root = hierarchy === "0" ? "/sys/fs/cgroup" : `/sys/fs/cgroup/${controller}`;
    for (let path = group; ; path = path.slice(0, path.lastIndexOf("/"))) {
      directories.push(root + (path === "/" ? "" : path));
      if (path === "" || path === "/") break;
    }
  }
  return directories;
}

/** Where the unified hierarchy is mounted, and which of its groups that mount shows as its root. */
function mounted(): { readonly point: string; readonly root: string } | undefined {
  for (const line of (readText("/proc/self/mountinfo") ?? "").split("\n")) {
    const [fields = "", type = ""] = line.split(" - ");
    if (!type.startsWith("cgroup2 ")) continue;
    const [, , , root, point] = fields.split(" ");
    if (root !== undefined && point !== undefined) return { point, root: root === "/" ? "" : root };
  }
  return undefined;
}

/** The directory of the group that this process is in, if groups can be made and processes moved there. */
function ownGroup(): string | undefined {
  const own = /^0::(.*)$/m.exec(readText("/proc/self/cgroup") ?? "")?.[1];
  const mount = mounted();
  if (own === undefined || mount === undefined || !own.startsWith(mount.root)) return undefined;
  const below = own.slice(mount.root.length);
  const directory = mount.point + (below === "/" ? "" : below);
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

/** Removes the groups below ours that are named `<prefix><12 letters or digits>` and hold no process: the kernel keeps the others. */
export function sweepSubgroups(prefix: string): void {
  const directory = ownGroup();
  if (directory === undefined) return;
  for (const name of listDirectory(directory)) {
    if (name.startsWith(prefix) && /^[0-9a-z]{12}$/.test(name.slice(prefix.length)))
      removeDirectory(`${directory}/${name}`);
  }
}
