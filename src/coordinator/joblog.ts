/** The joblog: GNU parallel's columns, one line per task when its final result is there, each line in one write. */
import { CfnError } from "../errors.ts";
import type { ResultPayload } from "../message/protocol.ts";
import { closeFile, fileSize, O, openFile, readInto, seekTo, writeAll } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { truncateFile } from "../os/truncate.ts";
import { SeqSet } from "./seqset.ts";
import { commandText, type TaskSpec } from "./spec.ts";

const HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const NEWLINE = 10;
const encoder = new TextEncoder();

/** Host is `:`, as for GNU parallel's local jobs; Send and Receive are the bytes of stdin and stdout. Pure. */
export function joblogLine(task: TaskSpec, result: ResultPayload): string {
  const fields = [
    task.seq,
    ":",
    result.started_at.toFixed(3),
    (result.run_time_ms / 1000).toFixed(3).padStart(10),
    task.input === undefined ? 0 : encoder.encode(task.input).length,
    result.stdout_bytes,
    result.exit_code,
    result.signal,
    commandText(task.run),
  ];
  return `${fields.join("\t")}\n`;
}

export interface Joblog {
  /** Tasks that an earlier run finished; with `resume` only. */
  readonly finished: SeqSet;
  write(task: TaskSpec, result: ResultPayload): void;
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
  const whole = resume ? readFinished(fd, path, finished) : 0;
  if (resume && fileSize(fd) > whole) truncateFile(fd, whole);
  const append = (text: string): void => {
    const wrote = writeAll(fd, encoder.encode(text));
    if (wrote < 0) throw new CfnError("cannot_create", `cannot write the joblog ${path}: ${errorText(-wrote)}`);
  };
  if (whole === 0) append(HEADER);
  return {
    finished,
    write: (task, result) => append(joblogLine(task, result)),
    close: () => closeFile(fd),
  };
}

/** Returns how many bytes its whole lines are. */
function readFinished(fd: number, path: string, finished: SeqSet): number {
  seekTo(fd, 0);
  const chunk = new Uint8Array(64 * 1024);
  let rest = new Uint8Array(0);
  let whole = 0;
  let first = true;
  for (let got = readInto(fd, chunk); got > 0; got = readInto(fd, chunk)) {
    const bytes = new Uint8Array(rest.length + got);
    bytes.set(rest);
    bytes.set(chunk.subarray(0, got), rest.length);
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE, at); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      const line = new TextDecoder().decode(bytes.subarray(at, Math.min(end, at + 4096)));
      if (first && !line.startsWith("Seq\t")) {
        throw new CfnError("malformed", `${path} is not a joblog: its first line does not begin with Seq`);
      }
      const seq = Number(line.slice(0, line.indexOf("\t")));
      if (!first && Number.isSafeInteger(seq) && seq > 0) finished.add(seq);
      first = false;
      whole += end + 1 - at;
      at = end + 1;
    }
    rest = bytes.subarray(at);
  }
  return whole;
}
