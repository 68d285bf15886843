/** Where the tasks of a run come from, as its journal records it. */
import type { JournalAbout, TaskFile } from "../src/coordinator/journal.ts";
import { comesOnce } from "../src/coordinator/source.ts";
import { statPath } from "../src/os/file.ts";

export function listOf(tasks: string | undefined): JournalAbout["tasks"] {
  if (tasks === undefined) return "command";
  return comesOnce(tasks) ? "copied" : taskFile(absolute(tasks));
}

/** Wherever somebody resumes the run. */
export const absolute = (path: string): string => (path.startsWith("/") ? path : `${process.cwd()}/${path}`);

/** A task file as it is now; of one that is not there, no bytes. */
export function taskFile(path: string): TaskFile {
  const stat = statPath(path, true);
  const modified = `${stat?.modifiedSeconds ?? 0}.${String(stat?.modifiedNanoseconds ?? 0).padStart(9, "0")}`;
  return { path, bytes: stat?.bytes ?? 0, modified };
}
