/**
 * The joblog: GNU parallel's columns, one line per task whose final result is there and whose output is out; so with
 * `--keep-order` the lines come in the order of the tasks. Lines are written whole.
 */
import { CfnError } from "../errors.ts";
import { closeFile, fileSize, O, openFile, writeAll } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { truncateFile } from "../os/truncate.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import type { TaskRecord } from "./record.ts";
import { SeqSet } from "./seqset.ts";

const HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
/** The columns before the command are never longer. */
const LINE_BYTES = 4096;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Host is `:`, as for GNU parallel's local jobs; Send and Receive are the bytes of stdin and stdout. Pure. */
export function joblogLine(record: TaskRecord): string {
  const fields = [
    record.seq,
    ":",
    record.started_at.toFixed(3),
    (record.run_time_ms / 1000).toFixed(3).padStart(10),
    record.input_bytes,
    record.stdout_bytes,
    record.exit_code,
    record.signal,
    record.command,
  ];
  return `${fields.join("\t")}\n`;
}

export interface Joblog {
  readonly path: string;
  /** Tasks that it had when it was opened; with `resume` only. */
  readonly finished: SeqSet;
  /** When the task with this position began, as the joblog had it when it was opened: the column Starttime. */
  startOf(seq: number): string | undefined;
  /** Lines of `joblogLine`, in one write. */
  write(lines: string): void;
  close(): void;
}

/**
 * Begins a joblog, or with `resume` goes on with one: a last line that was not written to its end is removed, and its
 * task runs again.
 *
 * @throws CfnError cannot_create; malformed, if the file to resume is no joblog
 */
export function openJoblog(path: string, resume: boolean): Joblog {
  const fd = openFile(path, O.RDWR | O.CREAT | O.APPEND | (resume ? 0 : O.TRUNC), 0o644);
  if (fd < 0) throw new CfnError("cannot_create", `cannot write the joblog ${path}: ${errorText(-fd)}`);
  const finished = new SeqSet();
  const whole = resume ? readFinished(fd, path, (seq) => finished.add(seq)) : 0;
  if (resume && fileSize(fd) > whole) truncateFile(fd, whole);
  const write = (text: string): void => {
    const wrote = writeAll(fd, encoder.encode(text));
    if (wrote < 0) throw new CfnError("cannot_create", `cannot write the joblog ${path}: ${errorText(-wrote)}`);
  };
  if (whole === 0) write(HEADER);
  const startOf = (wanted: number): string | undefined => {
    let start: string | undefined;
    readFinished(fd, path, (seq, fields) => {
      if (seq === wanted) start ??= fields[2];
    });
    return start;
  };
  return { path, finished, startOf, write, close: () => closeFile(fd) };
}

/** Returns how many bytes its whole lines are. */
function readFinished(fd: number, path: string, visit: (seq: number, fields: readonly string[]) => void): number {
  let first = true;
  return visitWholeLines(fd, LINE_BYTES, (bytes) => {
    const line = decoder.decode(bytes);
    if (first && !line.startsWith("Seq\t")) {
      throw new CfnError("malformed", `${path} is not a joblog: its first line does not begin with Seq`);
    }
    const fields = first ? [] : line.split("\t", 4);
    const seq = Number(fields[0]);
    if (Number.isSafeInteger(seq) && seq > 0) visit(seq, fields);
    first = false;
  });
}
