/** Moving a file, over the border of a file system too. Loads `node:fs`. */
import { copyFileSync } from "node:fs";
import { renameFile, unlinkFile } from "./file.ts";
import { E, errorText } from "./libc.ts";

/** Undefined, or why it could not be done. */
export function moveFile(from: string, to: string): string | undefined {
  const renamed = renameFile(from, to);
  if (renamed === 0) return undefined;
  if (renamed !== -E.XDEV) return errorText(-renamed);
  try {
    copyFileSync(from, to);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  unlinkFile(from);
  return undefined;
}
