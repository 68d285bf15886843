/**
 * `<bus>/agents/<id>/state`: one word and a newline, for any shell to read. Replaced whole by rename.
 *
 * Each word stands once in `<bus>/states/`, and an agent's file is a hard link to it: two system calls instead of four for a
 * change, and no page of memory per agent, which would be 20 MB of /dev/shm for 5,000 of them.
 */
import { CfnError } from "../errors.ts";
import { linkFile, makeDirectory, removeDirectory, renameFile, replaceFile, statPath, unlinkFile } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { type LifecycleState, lifecycleStates } from "./lifecycle.ts";

export class StateFiles {
  readonly #agents: string;
  readonly #words: string;

  /** Throws CfnError("cannot_create") where the bus directory takes no files. */
  constructor(busDir: string) {
    this.#agents = `${busDir}/agents`;
    this.#words = `${busDir}/states`;
    makeWritable(this.#agents);
    makeWritable(this.#words);
    for (const word of lifecycleStates) {
      const path = `${this.#words}/${word}`;
      if (statPath(path) === undefined) mustWork(path, replaceFile(path, `${word}\n`, 0o400));
    }
  }

  /** Makes the agent's directory, with the state SPAWNED. */
  open(id: string): void {
    makeWritable(`${this.#agents}/${id}`);
    // Where there is no state yet, none can be seen half-made.
    if (linkFile(`${this.#words}/SPAWNED`, `${this.#agents}/${id}/state`) !== 0) this.write(id, "SPAWNED");
  }

  write(id: string, state: LifecycleState): void {
    const word = `${this.#words}/${state}`;
    const hidden = `${this.#agents}/${id}/.state`;
    const path = `${this.#agents}/${id}/state`;
    let outcome = linkFile(word, hidden);
    if (outcome === -E.EXIST) {
      // Left by a host that died here, or by a rename onto the same file, which does nothing.
      unlinkFile(hidden);
      outcome = linkFile(word, hidden);
    }
    if (outcome === 0) outcome = renameFile(hidden, path);
    // A file system without hard links, or with too many on one file already.
    if (outcome !== 0) outcome = replaceFile(path, `${state}\n`);
    // The directory is gone with the whole bus: the run notices that by itself and says it.
    if (outcome !== -E.NOENT) mustWork(path, outcome);
  }

  /** The agent's directory goes. */
  close(id: string): void {
    unlinkFile(`${this.#agents}/${id}/.state`);
    unlinkFile(`${this.#agents}/${id}/state`);
    removeDirectory(`${this.#agents}/${id}`);
  }
}

function makeWritable(directory: string): void {
  const outcome = makeDirectory(directory);
  if (outcome !== -E.EXIST) mustWork(directory, outcome);
}

function mustWork(path: string, outcome: number): void {
  if (outcome >= 0) return;
  const remedy = outcome === -E.NOSPC ? "free space there, or set CFN_MESSAGE_BASE_DIR to another directory" : "";
  throw new CfnError("cannot_create", `cannot write ${path}: ${errorText(-outcome)}`, remedy);
}
