/** Control groups, version 2: the only thing that holds every descendant, whatever it did to get away. */
import { isWritable, readText } from "./file.ts";

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

/**
 * The directory of a group of that name below the one that this process is in, if processes may be moved there. It is not
 * made yet. Undefined where there is no version 2, or it is not ours to change, as in most containers and sessions.
 */
export function subgroup(name: string): string | undefined {
  const own = /^0::(.*)$/m.exec(readText("/proc/self/cgroup") ?? "")?.[1];
  const mount = mounted();
  if (own === undefined || mount === undefined || !own.startsWith(mount.root)) return undefined;
  const below = own.slice(mount.root.length);
  const directory = mount.point + (below === "/" ? "" : below);
  return isWritable(directory) && isWritable(`${directory}/cgroup.procs`) ? `${directory}/${name}` : undefined;
}
