/**
 * `--results DIR`: GNU parallel's folders. `DIR/1/<value>/` holds `seq`, `stdout` and `stderr`, where the value is the
 * plain line or the task's id, with what a file name cannot hold written as GNU parallel writes it.
 */
import { CfnError } from "../errors.ts";
import { makeDirectory, readText, replaceFile, statPath, unlinkFile } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { moveFile } from "../os/move.ts";
import { listDirectory } from "../os/tree.ts";
import { commandText, type TaskSpec } from "./spec.ts";

const NAME_BYTES_MOST = 200;

/** `/` as `\_`, TAB as `\t`, newline as `\n`, `\` as `\\`, `.` and `..` as `\.` and `\..`; a long one is cut, with its seq added. Pure. */
export function folderName(label: string, seq: number): string {
  const name = label
    .replaceAll("\\", "\\\\")
    .replaceAll("/", "\\_")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replace(/^\.{1,2}$/, (dots) => `\\${dots}`);
  if (name === "") return `\\${seq}`;
  if (new TextEncoder().encode(name).length <= NAME_BYTES_MOST) return name;
  const characters = [...name];
  while (new TextEncoder().encode(characters.join("")).length > NAME_BYTES_MOST) characters.pop();
  return `${characters.join("")}\\${seq}`;
}

export class ResultFolders {
  private readonly root: string;

  /** @throws CfnError cannot_create */
  constructor(readonly directory: string) {
    this.root = `${directory}/1`;
    for (const path of [directory, this.root]) make(path);
  }

  /** Moves the task's output there and returns the folder. One that another task has filled is left alone: the name gets the seq. */
  store(task: TaskSpec, stdoutFile: string, stderrFile: string): string {
    const folder = this.claim(task);
    for (const [from, name] of [
      [stdoutFile, "stdout"],
      [stderrFile, "stderr"],
    ] as const) {
      const failed = moveFile(from, `${folder}/${name}`);
      if (failed !== undefined) throw new CfnError("cannot_create", `cannot write ${folder}/${name}: ${failed}`);
    }
    return folder;
  }

  private claim(task: TaskSpec): string {
    const name = folderName(task.label, task.seq);
    for (const folder of [`${this.root}/${name}`, `${this.root}/${name}\\${task.seq}`]) {
      const made = makeDirectory(folder, 0o755);
      if (made === 0 || (made === -E.EXIST && mayFill(folder, task.seq))) {
        const wrote = replaceFile(`${folder}/seq`, `${task.seq}\n`, 0o644);
        if (wrote < 0) throw new CfnError("cannot_create", `cannot write ${folder}/seq: ${errorText(-wrote)}`);
        return folder;
      }
      if (made !== -E.EXIST) throw new CfnError("cannot_create", `cannot create ${folder}: ${errorText(-made)}`);
    }
    const text = commandText(task.run);
    throw new CfnError(
      "cannot_create",
      `no free folder in ${this.root} for task ${task.seq} (${text})`,
      "name another --results",
    );
  }
}

/** The task's own folder, of an earlier run over the same list; or one whose maker died before it had written the seq. */
function mayFill(folder: string, seq: number): boolean {
  const text = readText(`${folder}/seq`);
  if (text !== undefined) return text.trim() === String(seq);
  const names = listDirectory(folder);
  if (!names.every((name) => name.startsWith(".seq."))) return false;
  for (const name of names) unlinkFile(`${folder}/${name}`);
  return statPath(folder)?.type === "directory";
}

function make(path: string): void {
  const made = makeDirectory(path, 0o755);
  if (made === 0 || (made === -E.EXIST && statPath(path, true)?.type === "directory")) return;
  const reason = made === -E.EXIST ? "it is not a directory" : errorText(-made);
  throw new CfnError("cannot_create", `cannot create the results directory ${path}: ${reason}`);
}
