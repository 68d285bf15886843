/** What is mounted where, as `/proc/self/mountinfo` says it. */
import { readText } from "./file.ts";

export interface Mount {
  readonly point: string;
  /** Which directory of its file system stands there. */
  readonly root: string;
  /** As in "tmpfs". */
  readonly type: string;
  /** Of the mount and of its file system: ro, noexec, size=65536k… */
  readonly options: readonly string[];
}

const decoded = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** All mounts that this process sees, in the order in which they were made. */
export function mounts(): Mount[] {
  const found: Mount[] = [];
  for (const line of (readText("/proc/self/mountinfo") ?? "").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, point, own = ""] = before.split(" ");
    const [type, , whole = ""] = after.split(" ");
    if (root === undefined || point === undefined || type === undefined) continue;
    const options = [...new Set([...own.split(","), ...whole.split(",")])].filter((option) => option !== "");
    found.push({ point: decoded(point), root: decoded(root), type, options });
  }
  return found;
}

/** The mount that holds an absolute path without symbolic links; of several on one point the last counts. Pure. */
export function mountOf(path: string, all: readonly Mount[]): Mount | undefined {
  let nearest: Mount | undefined;
  for (const mount of all) {
    const holds = mount.point === "/" || path === mount.point || path.startsWith(`${mount.point}/`);
    if (holds && mount.point.length >= (nearest?.point.length ?? 0)) nearest = mount;
  }
  return nearest;
}
