/**
 * Directories that are ours alone. /dev/shm is writable by everyone, so a directory that is a symbolic link, is somebody else's
 * or is open to others is refused, never repaired.
 */
import { CfnError } from "../errors.ts";
import { makeDirectory, statPath } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { effectiveUid } from "../os/process.ts";

/** Makes a directory that is ours alone, or checks that it is. False if somebody else has just removed it. */
export function secureDirectory(path: string): boolean {
  const made = makeDirectory(path, 0o700);
  if (made === 0) return true;
  if (made !== -E.EXIST) {
    throw new CfnError(
      "cannot_create",
      `cannot create ${path}: ${errorText(-made)}`,
      "set CFN_MESSAGE_BASE_DIR to a directory you may write",
    );
  }
  const stat = statPath(path);
  if (stat === undefined) return false;
  const error = unsafety(path, stat);
  if (error !== undefined) throw error;
  return true;
}

/** Throws CfnError refused for a directory that is not ours alone, unavailable for one that is gone. */
export function checkOwned(path: string): void {
  const error = unsafety(path);
  if (error !== undefined) throw error;
}

/** Why a directory is not ours alone; undefined if it is. */
export function unsafety(path: string, stat = statPath(path)): CfnError | undefined {
  if (stat === undefined)
    return new CfnError(
      "unavailable",
      `${path} is gone`,
      "start the run again; RemoveIPC=yes in logind.conf deletes it at logout",
    );
  const remedy = "remove it, or set CFN_MESSAGE_BASE_DIR to a directory of your own";
  if (stat.type !== "directory") return new CfnError("refused", `${path} is a ${stat.type}, not a directory`, remedy);
  if (stat.uid !== effectiveUid()) return new CfnError("refused", `${path} belongs to user ${stat.uid}`, remedy);
  if ((stat.mode & 0o077) !== 0)
    return new CfnError("refused", `${path} is open to others (mode ${stat.mode.toString(8)})`, `chmod 700 ${path}`);
  return undefined;
}
