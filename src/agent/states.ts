/**
 * `<bus>/agents/<id>/state`: one word and a newline, for any shell to read, always one whole word.
 *
 * Each word stands once, in `<bus>/states/<word>/state`, and `agents/<id>` is a symbolic link to the directory of its word: a
 * change replaces the link by rename. That is two system calls for a change, one to make or to remove it, and no page of
 * memory per agent, where a file of its own would take 4 KiB of /dev/shm and twice the calls.
 *
 * A word is written when it has lasted `limits.stateMs`: of an agent that has ended by then only that is seen. In a run of many
 * short tasks the words that nobody could have read were a tenth of what the run cost.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { makeDirectory, makeSymlink, renameFile, replaceFile, statPath, unlinkFile } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { type LifecycleState, lifecycleStates } from "./lifecycle.ts";

export class StateFiles {
  readonly #agents: string;
  /** Those whose link is there: made here, or found. */
  readonly #linked = new Set<string>();
  readonly #changed = new Unwritten(limits.stateMs, (id, state) => this.write(id, state));
  readonly #passing = new Unwritten(limits.passingStateMs, (id, state) => this.write(id, state));

  /** `atOnce`: every word, however short its time. Throws CfnError("cannot_create") where the bus directory takes no files. */
  constructor(
    busDir: string,
    private readonly atOnce = false,
  ) {
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

  /** The state of an agent from now on. `passing`: another is to follow as soon as the machine can. */
  change(id: string, state: LifecycleState, passing = false): void {
    this.#forget(id);
    if (this.atOnce) this.write(id, state);
    else (passing ? this.#passing : this.#changed).add(id, state);
  }

  /**
   * Writes it at once. Never fails: an agent's work and its result do not depend on this word. Where there is no space for a
   * second link the old one makes room, and where the new one cannot be made then either there is none, rather than a wrong one.
   * Where the directory is gone with the whole bus, the run notices that by itself and says it.
   */
  write(id: string, state: LifecycleState): void {
    this.#forget(id);
    const target = `../states/${state}`;
    const path = `${this.#agents}/${id}`;
    const mayBeFirst = !this.#linked.has(id);
    this.#linked.add(id);
    // Where there is no state yet, none can be seen half-made.
    if (mayBeFirst && makeSymlink(target, path) === 0) return;
    if (this.#replace(id, target) === 0) return;
    this.#remove(id);
    makeSymlink(target, path);
  }

  /** The agent is gone, and its state with it. */
  close(id: string): void {
    this.#forget(id);
    this.#remove(id);
  }

  /** Nothing is written any more: the bus goes, and all its files with it. */
  abandon(): void {
    this.#changed.clear();
    this.#passing.clear();
  }

  #forget(id: string): void {
    this.#changed.delete(id);
    this.#passing.delete(id);
  }

  #replace(id: string, target: string): number {
    const hidden = `${this.#agents}/.${id}`;
    let outcome = makeSymlink(target, hidden);
    if (outcome === -E.EXIST) {
      // Left by a host that died here.
      unlinkFile(hidden);
      outcome = makeSymlink(target, hidden);
    }
    return outcome === 0 ? renameFile(hidden, `${this.#agents}/${id}`) : outcome;
  }

  #remove(id: string): void {
    this.#linked.delete(id);
    unlinkFile(`${this.#agents}/.${id}`);
    unlinkFile(`${this.#agents}/${id}`);
  }
}

/** Words that have not lasted yet; `write` gets those that have, all at once. */
class Unwritten {
  readonly #words = new Map<string, LifecycleState>();
  readonly #afterMs: number;
  readonly #write: (id: string, state: LifecycleState) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(afterMs: number, write: (id: string, state: LifecycleState) => void) {
    this.#afterMs = afterMs;
    this.#write = write;
  }

  add(id: string, state: LifecycleState): void {
    this.#words.set(id, state);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const [each, word] of [...this.#words]) this.#write(each, word);
    }, this.#afterMs);
  }

  delete(id: string): void {
    if (this.#words.delete(id) && this.#words.size === 0) this.clear();
  }

  clear(): void {
    this.#words.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
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
