/** Which file a command name means: the search that `execvp` makes, in the PATH of the child instead of ours. */

import { statPath } from "./file.ts";
import { cString, openLibc, types } from "./libc.ts";

const { access } = openLibc({ access: { args: [types.ptr, types.i32], returns: types.i32 } });

const EXECUTABLE = 1;
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** Found paths; forgotten by `forgetProgram` when one of them turns out to be gone. */
const found = new Map<string, string>();
const CACHED_MOST = 512;
/** The look-up before this one: mostly it is the same again. */
let last:
  | { readonly name: string; readonly path: string; readonly cwd: string | undefined; readonly program: string }
  | undefined;

const isProgram = (path: string): boolean =>
  access(cString(path), EXECUTABLE) === 0 && statPath(path, true)?.type === "file";

/**
 * The file to execute for `name`, relative to `cwd` where it has one; undefined if the PATH holds none. A file that is
 * there and not executable is returned where nothing better is, so that the kernel states the reason.
 */
export function findProgram(name: string, searchPath: string | undefined, cwd?: string): string | undefined {
  if (name.includes("/")) return name;
  if (name === "") return undefined;
  const path = searchPath ?? DEFAULT_PATH;
  if (last !== undefined && last.name === name && last.path === path && last.cwd === cwd) return last.program;
  const key = `${name}\0${path}\0${cwd ?? ""}`;
  const known = found.get(key);
  if (known !== undefined) {
    last = { name, path, cwd, program: known };
    return known;
  }
  let second: string | undefined;
  for (const element of path.split(":")) {
    const candidate = `${element === "" ? "." : element}/${name}`;
    // A relative element counts from the directory that the child will be in.
    const seenFromHere = cwd !== undefined && !candidate.startsWith("/") ? `${cwd}/${candidate}` : candidate;
    if (isProgram(seenFromHere)) {
      if (found.size >= CACHED_MOST) found.clear();
      found.set(key, candidate);
      return candidate;
    }
    if (second === undefined && statPath(seenFromHere, true)?.type === "file") second = candidate;
  }
  return second;
}

export function forgetPrograms(): void {
  found.clear();
  last = undefined;
}
