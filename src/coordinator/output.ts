/**
 * What the run prints, and what becomes of the agents' output files. One task at a time, so that no two agents' output
 * mixes. An entry goes through: (keep-order: wait for its turn) → print → store in the results folder or remove → when all
 * of it has been written: `onOut`, which records it.
 */
import { limits } from "../limits.ts";
import { type ResultPayload, spoolPath } from "../message/protocol.ts";
import { closeFile, O, openFile, readInto, seekTo, unlinkFile } from "../os/file.ts";
import { resultObject } from "./ndjson.ts";
import { Queue } from "./queue.ts";
import type { ResultFolders } from "./results.ts";
import { Sink } from "./sink.ts";
import type { TaskSpec } from "./spec.ts";
import { LineTagger } from "./tagging.ts";

export interface OutputOptions {
  readonly spool: string;
  readonly json: boolean;
  readonly tag: boolean;
  readonly keepOrder: boolean;
  readonly lineBuffer: boolean;
  readonly results: ResultFolders | undefined;
  /** The first task of this run that has not been finished by an earlier one: what keep-order begins with. */
  readonly isSkipped: (seq: number) => boolean;
  /** The task's output has been printed and stored; not called for what could not be. */
  readonly onOut: (task: TaskSpec, result: ResultPayload) => void;
  /** Nothing can be printed any more. Called once. */
  readonly onFailure: (error: unknown) => void;
}

interface Entry {
  readonly task: TaskSpec;
  readonly result: ResultPayload;
}

/** Where the print-out of a running attempt has come to (line-buffer). */
interface Following {
  readonly tagger: LineTagger | undefined;
  at: number;
}

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 10;
const newline = new Uint8Array([NEWLINE]);
const encoder = new TextEncoder();

export class Output {
  private readonly stdout = new Sink(1);
  private readonly stderr = new Sink(2);
  private readonly ready = new Queue<Entry>(() => 0);
  /** Finished out of turn (keep-order). */
  private readonly early = new Map<number, Entry>();
  private nextSeq = 1;
  /** Handed to the sinks, which may not have written it yet. */
  private unwritten: Entry[] = [];
  private readonly following = new Map<string, Following>();
  private printing: Promise<void> | undefined;
  private failed = false;

  constructor(private readonly options: OutputOptions) {}

  /** Finished tasks whose output is not out yet. */
  get held(): number {
    return this.ready.size + this.early.size;
  }

  /** Bytes that the readers of stdout and stderr have taken. */
  get written(): number {
    return this.stdout.written + this.stderr.written;
  }

  /** A task's final result. */
  add(task: TaskSpec, result: ResultPayload): void {
    const entry = { task, result };
    if (!this.options.keepOrder) this.ready.add(entry);
    else {
      this.early.set(task.seq, entry);
      for (;;) {
        const next = this.early.get(this.nextSeq);
        if (next !== undefined) {
          this.early.delete(this.nextSeq);
          this.ready.add(next);
        } else if (!this.options.isSkipped(this.nextSeq)) break;
        this.nextSeq++;
      }
    }
    this.start();
  }

  /** An attempt that is followed by another: its output is dropped. */
  discard(result: ResultPayload): void {
    for (const stream of ["out", "err"] as const) {
      const path = spoolPath(this.options.spool, result.seq, result.attempt, stream);
      if (this.following.size > 0) this.following.delete(path);
      unlinkFile(path);
    }
  }

  /** Prints whole lines that running agents have written by now. */
  follow(underWay: Iterable<{ readonly task: TaskSpec; readonly attempt: number }>): void {
    // A task that is being printed may have reached the middle of a line.
    if (this.failed || this.printing !== undefined) return;
    for (const { task, attempt } of underWay) {
      for (const stream of ["out", "err"] as const) {
        const path = spoolPath(this.options.spool, task.seq, attempt, stream);
        const state = this.following.get(path) ?? { tagger: this.tagger(task), at: 0 };
        const bytes = readFrom(path, state.at, CHUNK_BYTES);
        if (bytes === undefined || bytes.length === 0) continue;
        this.following.set(path, state);
        const lines = bytes.lastIndexOf(NEWLINE) + 1;
        // A line longer than the chunk goes out in pieces: holding it would need memory without bound.
        const whole = lines === 0 && bytes.length === CHUNK_BYTES ? bytes : bytes.subarray(0, lines);
        state.at += whole.length;
        if (whole.length === 0) continue;
        const sink = stream === "out" ? this.stdout : this.stderr;
        sink.write(state.tagger === undefined ? whole : state.tagger.tagged(whole))?.catch((error) => this.fail(error));
      }
    }
    this.start();
  }

  /** Resolves when everything is out; what keep-order still holds goes out now. */
  async end(): Promise<void> {
    for (const seq of [...this.early.keys()].sort((a, b) => a - b)) this.ready.add(this.early.get(seq) as Entry);
    this.early.clear();
    while (this.held > 0 || this.printing !== undefined) {
      this.start();
      await this.printing;
    }
  }

  private tagger(task: TaskSpec): LineTagger | undefined {
    return this.options.tag ? new LineTagger(task.label) : undefined;
  }

  private start(): void {
    this.printing ??= this.printAll().finally(() => {
      this.printing = undefined;
      if (this.ready.size > 0) this.start();
    });
  }

  private async printAll(): Promise<void> {
    try {
      for (let entry = this.ready.take(); entry !== undefined; entry = this.ready.take()) {
        const { stdout_bytes, stderr_bytes } = entry.result;
        const silent = stdout_bytes + stderr_bytes === 0 && !this.options.json;
        if (!this.failed && !silent) await this.print(entry);
        this.dispose(entry);
        this.unwritten.push(entry);
        if (this.unwritten.length >= limits.resultsPerFlush) await this.release();
      }
      await this.release();
    } catch (error) {
      this.fail(error);
    }
  }

  private async release(): Promise<void> {
    if (this.failed) return;
    await this.stdout.flush();
    await this.stderr.flush();
    const written = this.unwritten;
    this.unwritten = [];
    for (const { task, result } of written) this.options.onOut(task, result);
  }

  private fail(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.options.onFailure(error);
  }

  private async print({ task, result }: Entry): Promise<void> {
    const { spool, json, lineBuffer, tag } = this.options;
    const paths = {
      out: spoolPath(spool, task.seq, result.attempt, "out"),
      err: spoolPath(spool, task.seq, result.attempt, "err"),
    };
    if (json) {
      const most = limits.jsonOutputBytes;
      const text = (path: string, bytes: number) =>
        bytes === 0 ? new Uint8Array(0) : (readFrom(path, 0, most) ?? new Uint8Array(0));
      const object = resultObject(
        task,
        result,
        text(paths.out, result.stdout_bytes),
        text(paths.err, result.stderr_bytes),
      );
      return this.stdout.write(encoder.encode(`${JSON.stringify(object)}\n`));
    }
    for (const [stream, sink, bytes] of [
      ["out", this.stdout, result.stdout_bytes],
      ["err", this.stderr, result.stderr_bytes],
    ] as const) {
      if (bytes === 0) continue;
      const state = this.following.get(paths[stream]);
      const tagger = state?.tagger ?? this.tagger(task);
      const from = state?.at ?? 0;
      const last = await this.copy(paths[stream], from, bytes - from, sink, tagger);
      if ((lineBuffer || tag) && last !== undefined && last !== NEWLINE) await sink.write(newline);
    }
  }

  /** `most`: how many bytes its agent had written when it ended. Returns the last byte copied. */
  private async copy(
    path: string,
    from: number,
    most: number,
    sink: Sink,
    tagger: LineTagger | undefined,
  ): Promise<number | undefined> {
    const fd = openFile(path, O.RDONLY);
    if (fd < 0) return undefined;
    try {
      if (from > 0) seekTo(fd, from);
      let last: number | undefined;
      for (let left = most; left > 0; ) {
        const chunk = new Uint8Array(Math.min(left, CHUNK_BYTES));
        const got = readInto(fd, chunk);
        if (got <= 0) break;
        left -= got;
        const bytes = chunk.subarray(0, got);
        last = bytes[got - 1];
        const full = sink.write(tagger === undefined ? bytes : tagger.tagged(bytes));
        if (full !== undefined) await full;
      }
      return last;
    } finally {
      closeFile(fd);
    }
  }

  private dispose({ task, result }: Entry): void {
    const { spool, results } = this.options;
    // What never ran has no output.
    if (results !== undefined && result.started_at > 0 && result.reason !== "not_started") {
      const path = (stream: "out" | "err") => spoolPath(spool, task.seq, result.attempt, stream);
      results.store(task, path("out"), path("err"));
    }
    this.discard(result);
  }
}

/** At most `most` bytes from `offset`; undefined if there is no such file. */
function readFrom(path: string, offset: number, most: number): Uint8Array | undefined {
  const fd = openFile(path, O.RDONLY);
  if (fd < 0) return undefined;
  if (offset > 0) seekTo(fd, offset);
  const bytes = new Uint8Array(most);
  let length = 0;
  while (length < most) {
    const got = readInto(fd, bytes.subarray(length));
    if (got <= 0) break;
    length += got;
  }
  closeFile(fd);
  return bytes.slice(0, length);
}
