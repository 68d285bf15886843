/**
 * `<bus>/agents/<id>/state`: one word and a newline, for any shell to read, always one whole word.
 *
 * Each word stands once, in `<bus>/states/<word>/state`, and `agents/<id>` is a symbolic link to the directory of its word: a
 * change replaces the link by rename. That is two system calls for a change, one to make or to remove it, and no page of
 * memory per agent, where a file of its own would take 4 KiB of /dev/shm and twice the calls.
 */
import { CfnError } from "../errors.ts";
import { makeDirectory, makeSymlink, renameFile, replaceFile, statPath, unlinkFile } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { type LifecycleState, lifecycleStates } from "./lifecycle.ts";

export class StateFiles {
  readonly #agents: string;

  /** Throws CfnError("cannot_create") where the bus directory takes no files. */
  constructor(busDir: string) {
    this.#agents = `${busDir}/agents`;
    makeWritable(this.#agents);
    makeWritable(`${busDir}/states`);
    for (const word of lifecycleStates) {
      const directory = `${busDir}/states/${word}`;
      makeWritable(directory);
      const path = `${directory}/state`;
      if (statPath(path) === undefined) mustWork(path, replaceFile(path, `${word}\n`, 0o400));
    }
  }

  /** The agent appears, in the state SPAWNED. Throws CfnError("cannot_create") where it cannot. */
  open(id: string): void {
    const path = `${this.#agents}/${id}`;
    // Where there is no state yet, none can be seen half-made.
    if (makeSymlink("../states/SPAWNED", path) !== 0) mustWork(path, this.#replace(id, "SPAWNED"));
  }

  /**
   * Never fails: an agent's work and its result do not depend on this word. Where there is no space for a second link the old
   * one makes room, and where the new one cannot be made then either there is none, rather than a wrong one. Where the
   * directory is gone with the whole bus, the run notices that by itself and says it.
   */
  write(id: string, state: LifecycleState): void {
    if (this.#replace(id, state) === 0) return;
    this.close(id);
    makeSymlink(`../states/${state}`, `${this.#agents}/${id}`);
  }

  #replace(id: string, state: LifecycleState): number {
    const target = `../states/${state}`;
    const hidden = `${this.#agents}/.${id}`;
    let outcome = makeSymlink(target, hidden);
    if (outcome === -E.EXIST) {
      // Left by a host that died here.
      unlinkFile(hidden);
      outcome = makeSymlink(target, hidden);
    }
    return outcome === 0 ? renameFile(hidden, `${this.#agents}/${id}`) : outcome;
  }

  close(id: string): void {
    unlinkFile(`${this.#agents}/.${id}`);
    unlinkFile(`${this.#agents}/${id}`);
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
