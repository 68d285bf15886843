/**
 * Writes one metrics file. What is emitted is held as it is, and `limits.metricsFlushMs` later made into lines and written in one
 * piece: a SIGKILL takes the events of that long at most, and never leaves half a line that a reader would take for a whole one.
 * A power cut takes what the kernel had not written out: nothing here waits for a disk.
 *
 * A full file is renamed to `<name>.1`, that to `<name>.2`, and so on; the oldest is replaced. A resumed run goes on in the file of
 * the one before it, with the next number. What cannot be written any more is left, with one warning: the run does not depend on it.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { AppendedFile } from "../os/appended.ts";
import { threadCpuMs } from "../os/clock.ts";
import { closeFile, makeDirectory, O, openFile, renameFile, unlinkFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import { type MetricsEvent, type MetricsHeader, metricsSchema } from "./events.ts";

export interface MetricsSettings {
  readonly enabled: boolean;
  /** Between two samples. */
  readonly intervalMs: number;
  /** At which a file is renamed. */
  readonly fileBytes: number;
  /** How many are kept, the one that is written included. */
  readonly files: number;
}

export interface MetricsLogOptions {
  /** `metrics/` of a run's journal folder; made where it is not there. */
  readonly folder: string;
  readonly runId: string;
  /** Names the file. */
  readonly writer: string;
  readonly settings: Pick<MetricsSettings, "fileBytes" | "files">;
  /** Called before each write: emits what was held back until then. */
  readonly fill?: () => void;
  readonly onWarning: (text: string) => void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class MetricsLog {
  private readonly path: string;
  private batch: MetricsEvent[] = [];
  private timer: Timer | undefined;
  /** Undefined once it cannot be written, or is closed. */
  private file: AppendedFile | undefined;
  /** Numbers that were given, and those that are in files. */
  private given = 0;
  private written = 0;
  /** What metrics have cost, and what the clock said when those that are being made began. */
  private spent = 0;
  private begun: number | undefined;

  constructor(private readonly options: MetricsLogOptions) {
    this.path = `${options.folder}/${options.writer}.jsonl`;
    this.costing(() =>
      this.attempt(() => {
        makeDirectory(options.folder, 0o700);
        this.file = new AppendedFile(this.path);
        this.given = this.written = lastNumber(this.file);
      }),
    );
  }

  /** CPU time that `costing` has counted until now: milliseconds. */
  get spentMs(): number {
    return this.spent + (this.begun === undefined ? 0 : threadCpuMs() - this.begun);
  }

  /** Does `work`, which is for metrics, and counts its CPU time. One within another is counted once. */
  costing<T>(work: () => T): T {
    if (this.begun !== undefined) return work();
    this.begun = threadCpuMs();
    try {
      return work();
    } finally {
      this.spent = this.spentMs;
      this.begun = undefined;
    }
  }

  /** The number of the event that is emitted next; where there are `count` of them, of the first. */
  next(count = 1): number {
    const first = this.given + 1;
    this.given += count;
    return first;
  }

  /** `t` is the first field of each event, `n` is from `next`. */
  emit(event: MetricsEvent): void {
    this.emitAll([event]);
  }

  /** The same for many. */
  emitAll(events: readonly MetricsEvent[]): void {
    if (this.file === undefined) return;
    this.batch = this.batch.concat(events);
    this.wake();
  }

  /** There is something to write, soon. */
  wake(): void {
    if (this.file !== undefined) this.timer ??= setTimeout(() => this.flush(), limits.metricsFlushMs);
  }

  /** Writes what there is now. */
  flush(): void {
    this.costing(() => {
      this.options.fill?.();
      clearTimeout(this.timer);
      this.timer = undefined;
      const { batch } = this;
      this.batch = [];
      if (batch.length > 0) this.attempt(() => this.write(linesOf(batch), batch.length));
    });
  }

  close(): void {
    if (this.file === undefined) return;
    this.flush();
    this.file?.close();
    this.file = undefined;
  }

  private write(lines: string, count: number): void {
    if (this.file === undefined) return;
    let bytes = encoder.encode(this.file.length > 0 ? lines : this.header() + lines);
    if (this.file.length > 0 && this.file.length + bytes.length > this.options.settings.fileBytes) {
      this.file = this.rotate();
      bytes = encoder.encode(this.header() + lines);
    }
    const reason = this.file.append(bytes);
    if (reason !== undefined) throw new CfnError("cannot_create", `cannot write ${reason}`);
    this.written += count;
  }

  private header(): string {
    const { runId, writer } = this.options;
    const header: MetricsHeader = { schema: metricsSchema, run_id: runId, writer, next: this.written + 1 };
    return `${JSON.stringify(header)}\n`;
  }

  /** A death in between leaves a number free, which readers pass over. */
  private rotate(): AppendedFile {
    this.file?.close();
    this.file = undefined;
    const kept = this.options.settings.files - 1;
    for (let n = kept - 1; n > 0; n--) renameFile(`${this.path}.${n}`, `${this.path}.${n + 1}`);
    const outcome = kept > 0 ? renameFile(this.path, `${this.path}.1`) : unlinkFile(this.path);
    if (outcome < 0) throw new CfnError("cannot_create", `cannot rename ${this.path}: ${errorText(-outcome)}`);
    return new AppendedFile(this.path);
  }

  /** What fails here is the last that is tried. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.file?.close();
      this.file = undefined;
      const why = error instanceof Error ? error.message : String(error);
      this.options.onWarning(`this run's metrics stop here: ${why}`);
    }
  }
}

/**
 * One call of the engine's own code for all events: half of what one call for each would take. Between two objects of the list
 * stands the only place where that text is: inside a string its quotes would be escaped.
 */
const linesOf = (batch: readonly MetricsEvent[]): string =>
  `${JSON.stringify(batch).slice(1, -1).replaceAll('},{"t":', '}\n{"t":')}\n`;

/** Of the last event in the file, or in the one before it; 0 if there is none. Cuts off what a death left of a line. */
function lastNumber(file: AppendedFile): number {
  if (file.length > 0) {
    const { number, whole } = readNumber(file.fd);
    if (whole < file.length) file.cut(whole);
    if (whole > 0) return number;
  }
  const before = openFile(`${file.path}.1`, O.RDONLY | O.NOFOLLOW);
  if (before < 0) return 0;
  const { number } = readNumber(before);
  closeFile(before);
  return number;
}

function readNumber(fd: number): { readonly number: number; readonly whole: number } {
  let last = new Uint8Array(0);
  const whole = visitWholeLines(fd, limits.metricsLineBytes, (line) => {
    last = line.slice();
  });
  // Of a header that nothing follows, the number before its `next`.
  const [, field, digits] = /"(n|next)":(\d+)[,}]/.exec(decoder.decode(last)) ?? [];
  return { number: digits === undefined ? 0 : Number(digits) - (field === "next" ? 1 : 0), whole };
}
