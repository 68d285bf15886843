/** Directories as a whole. Loads `node:fs` (2.5 ms), so the message commands must not import it. */
import { readdirSync, rmSync } from "node:fs";

/** Names in a directory, sorted; empty if it is not there. */
export function listDirectory(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return []; // Not there, or not a directory: nothing is in it.
  }
}

/** Removes a tree, symbolic links not followed. False if something of it is still there. */
export function removeTree(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true });
    return true;
  } catch {
    return false; // The caller reports what it could not remove.
  }
}
