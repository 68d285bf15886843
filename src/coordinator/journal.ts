/**
 * The run's journal: what `cfn run --resume` needs to finish a run whose master was killed, or whose machine was
 * restarted. It lies on a disk, in a folder per run (`journalfolder.ts`):
 *
 *     run.json   what was asked for: the words of the command line, the directory, the variables that stood in for
 *                options, what a configuration file said; of a task file its path, size and time of change. Written before anything runs
 *     owner      locked while somebody works on the run
 *     results    a line per task that has its final result (`record.ts`), only ever appended to; one line for the end
 *     tasks      the list itself, where it came by a pipe: its bytes as they were read, written before their tasks run
 *     undelivered.jsonl   messages that nobody had read when the run ended, whole (`undelivered.ts`); only where there are any
 *
 * Order of effects, for each task: its output is printed or stored, then its line is written here, then its line in the
 * joblog. So the output of a recorded task is never lost, and a task whose master died in between runs once more. With
 * `--keep-order` an output that waits for its turn is not recorded yet. A cancelled task is not recorded: it runs again.
 *
 * The death of any process loses nothing that was written. A power cut can take the last second (`limits.journalSyncMs`);
 * of a run shorter than that, all of it. The hot path does one write for all results of a turn of the event loop.
 *
 * Where it cannot be written, the run goes on without it and says so.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { AppendedFile } from "../os/appended.ts";
import { closeFile, replaceFile, statPath } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { syncData, syncPath } from "../os/stream.ts";
import { removeTree } from "../os/tree.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import { type HeldFolder, type Kept, makeJournal } from "./journalfolder.ts";
import { journalLine, type RunEnded } from "./record.ts";

export interface TaskFile {
  readonly path: string;
  readonly bytes: number;
  /** Unix time of its last change, seconds and nanoseconds. */
  readonly modified: string;
}

export interface RecordedSettings {
  readonly file: string;
  /** By key, as in "run.agents"; values as the file had them. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The keys of the secrets in it. */
  readonly secrets: readonly string[];
}

/** run.json. */
export interface JournalAbout {
  readonly schema: "cfn.journal/1";
  readonly version: string;
  readonly run_id: string;
  /** What stood after `run`. */
  readonly words: readonly string[];
  readonly cwd: string;
  /** CFN_* variables that stood in for options. */
  readonly environment: Readonly<Record<string, string>>;
  /** What its configuration file said, where there was one. A secret is not here: it is read again. */
  readonly settings?: RecordedSettings;
  /** Unix seconds. */
  readonly started_at: number;
  readonly boot_id: string;
  /** Where the tasks come from: a file that can be read again, the copy in `tasks`, or the command line alone. */
  readonly tasks: TaskFile | "copied" | "command";
}

const encoder = new TextEncoder();
const NEWLINE = 10;

export class Journal {
  /** See `HeldFolder.ownerFd`. */
  readonly ownerFd: number;
  /** The run's folder. */
  readonly path: string;
  private readonly results: AppendedFile;
  private readonly copy: AppendedFile | undefined;
  private undelivered: AppendedFile | undefined;
  private copied = 0;
  private lastByte = NEWLINE;
  private failed = false;
  private unsynced = false;
  private timer: Timer | undefined;
  private syncing: Promise<void> | undefined;

  /** @throws CfnError cannot_create */
  constructor(
    private readonly folder: HeldFolder,
    copies: boolean,
    private readonly onWarning: (text: string) => void,
  ) {
    this.ownerFd = folder.ownerFd;
    this.path = folder.path;
    this.results = new AppendedFile(`${folder.path}/results`);
    this.copy = copies ? new AppendedFile(`${folder.path}/tasks`) : undefined;
    // One that an earlier execution of the run has left may end in half a line.
    if (statPath(this.undeliveredPath) !== undefined) this.openUndelivered();
  }

  private get undeliveredPath(): string {
    return `${this.folder.path}/undelivered.jsonl`;
  }

  /** Adds entries, as lines of `journalLine`. */
  write(lines: string): void {
    this.append(this.results, encoder.encode(lines));
  }

  /** Bytes of the list, before a task of theirs is handed out; undefined is its end. */
  readonly copyInput = (bytes: Uint8Array | undefined): void => {
    if (this.copy === undefined) return;
    if (bytes !== undefined) {
      this.append(this.copy, bytes);
      this.copied += bytes.length;
      this.lastByte = bytes.at(-1) ?? this.lastByte;
      return;
    }
    // So that a copy whose end is not known can be cut after its last whole line.
    if (this.lastByte !== NEWLINE) this.copyInput(new Uint8Array([NEWLINE]));
    this.write(journalLine({ input_ended: { bytes: this.copied } }));
  };

  /** Adds whole lines to the messages that nobody has read. Where they are; undefined if they could not be written, or are too many. */
  keepUndelivered(lines: string): string | undefined {
    const file = this.openUndelivered();
    if (file === undefined) return undefined;
    const more = encoder.encode(lines);
    if (file.length + more.length > limits.undeliveredBytes || file.append(more) !== undefined) return undefined;
    return file.path;
  }

  /** Undefined where it cannot be. */
  private openUndelivered(): AppendedFile | undefined {
    try {
      this.undelivered ??= openLines(this.undeliveredPath);
    } catch (error) {
      if (!(error instanceof CfnError)) throw error;
    }
    return this.undelivered;
  }

  /** The run ends in order. Waits for the disk no longer than `limits.journalSyncWaitMs`, and a short run not at all. */
  async end(end: RunEnded["end"]): Promise<void> {
    globalThis.crashPoint?.("journal.ending");
    const failed = this.results.append(encoder.encode(journalLine({ end })));
    globalThis.crashPoint?.("journal.ended");
    // Without its last line a run whose every task has ended would be taken for one to finish.
    if (failed !== undefined && end.finished) removeTree(this.folder.path);
    clearTimeout(this.timer);
    if (this.syncing !== undefined) {
      const sync = this.syncing.then(() => this.sync());
      await Promise.race([sync, new Promise((resolve) => setTimeout(resolve, limits.journalSyncWaitMs))]);
    }
    this.results.close();
    this.copy?.close();
    this.undelivered?.close();
    closeFile(this.ownerFd);
  }

  /** The run could not begin: a journal with nothing in it is removed. */
  withdraw(): void {
    if (this.copied === 0 && this.results.length === 0) removeTree(this.folder.path);
  }

  private append(file: AppendedFile, bytes: Uint8Array): void {
    if (this.failed) return;
    globalThis.crashPoint?.("journal.writing");
    const reason = file.append(bytes);
    globalThis.crashPoint?.("journal.written");
    if (reason !== undefined) {
      this.failed = true;
      this.onWarning(
        `cannot write the journal ${reason}; if this run does not end, --resume runs again what ends from now on`,
      );
    } else if (!this.unsynced) {
      this.unsynced = true;
      this.timer ??= setTimeout(() => this.syncNow(), limits.journalSyncMs);
    }
  }

  private syncNow(): void {
    const first = this.syncing === undefined;
    this.syncing = this.sync(first).then(() => {
      this.timer = this.unsynced ? setTimeout(() => this.syncNow(), limits.journalSyncMs) : undefined;
    });
  }

  /** `first`: the names too, of the folder and in it. */
  private async sync(first = false): Promise<void> {
    if (!this.unsynced) return;
    this.unsynced = false;
    // The list before the results of its tasks.
    if (this.copy !== undefined) await syncData(this.copy.fd);
    await syncData(this.results.fd);
    if (!first) return;
    const { path } = this.folder;
    for (const each of [`${path}/run.json`, path, path.slice(0, path.lastIndexOf("/"))]) await syncPath(each);
  }
}

/** The same for one that an earlier execution of the run may have left with half a line at its end. */
function openLines(path: string): AppendedFile {
  const file = new AppendedFile(path);
  const whole = visitWholeLines(file.fd, 0, () => undefined);
  if (whole < file.length) file.cut(whole);
  return file;
}

/**
 * Begins the journal of a run.
 *
 * @throws CfnError cannot_create
 */
export function beginJournal(
  root: string,
  about: JournalAbout,
  kept: Kept,
  onWarning: (text: string) => void,
): Journal {
  const folder = makeJournal(root, about.run_id, about.started_at * 1000, kept, (path) => {
    const wrote = replaceFile(`${path}/run.json`, `${JSON.stringify(about, null, 1)}\n`);
    if (wrote < 0) throw new CfnError("cannot_create", `cannot write ${path}/run.json: ${errorText(-wrote)}`);
  });
  globalThis.crashPoint?.("journal.begun");
  try {
    return new Journal(folder, about.tasks === "copied", onWarning);
  } catch (error) {
    removeTree(folder.path);
    closeFile(folder.ownerFd);
    throw error;
  }
}
