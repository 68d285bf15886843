/** Reading a journal: which runs can be finished, and what is recorded of one. */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { closeFile, fileSize, O, openFile, readInto, readText, seekTo } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { truncateFile } from "../os/truncate.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import type { JournalAbout } from "./journal.ts";
import { isFree, listJournals, masterOf, type RunFolder } from "./journalfolder.ts";
import { type RunEnded, readJournalLine, type TaskRecord } from "./record.ts";
import { Failures } from "./report.ts";
import { SeqSet } from "./seqset.ts";
import type { Failover } from "./swarm.ts";

/** What earlier executions of a run have recorded. */
export interface Recorded {
  readonly seqs: SeqSet;
  readonly counts: { completed: number; failed: number; timed_out: number; retried: number };
  readonly failures: Failures;
  /** The highest number that an attempt was given; 0 if there were no executions. */
  readonly attempts: number;
  readonly failovers: Failover[];
}

export const nothingRecorded = (): Recorded => ({
  seqs: new SeqSet(),
  counts: { completed: 0, failed: 0, timed_out: 0, retried: 0 },
  failures: new Failures(),
  attempts: 0,
  failovers: [],
});

export interface JournalRead extends Recorded {
  /** How many bytes the list had, where it was copied and read to its end. */
  readonly inputBytes: number | undefined;
  /** How the last execution ended; undefined where it was killed. */
  readonly end: RunEnded["end"] | undefined;
  /** Lines that are not as they were written: their tasks run again. */
  readonly damaged: number;
}

const decoder = new TextDecoder();
const TAIL_BYTES = 4096;

/**
 * Reads what is recorded, calling `visit` for each task, and cuts off a last line that was not written to its end.
 *
 * @throws CfnError malformed, where the file cannot be read
 */
export function readResults(path: string, visit: (record: TaskRecord) => void): JournalRead {
  const fd = openFile(`${path}/results`, O.RDWR | O.NOFOLLOW | O.CREAT);
  if (fd < 0) throw new CfnError("malformed", `cannot read the journal ${path}/results: ${errorText(-fd)}`);
  const recorded = nothingRecorded();
  let inputBytes: number | undefined;
  let end: RunEnded["end"] | undefined;
  let damaged = 0;
  let attempts = 1;
  const whole = visitWholeLines(fd, limits.journalLineBytes + 1, (bytes) => {
    const entry = readJournalLine(decoder.decode(bytes));
    if (entry === undefined) damaged++;
    else if ("end" in entry) end = entry.end;
    else if ("retried" in entry) recorded.counts.retried = entry.retried;
    else if ("attempts" in entry) attempts = Math.max(attempts, entry.attempts);
    else if ("failover" in entry) recorded.failovers.push(entry.failover);
    else if ("input_ended" in entry) inputBytes = entry.input_ended.bytes;
    else {
      end = undefined;
      // Twice only where somebody has changed the file: the first stands.
      if (recorded.seqs.has(entry.seq)) return;
      count(recorded, entry);
      visit(entry);
    }
  });
  if (fileSize(fd) > whole) truncateFile(fd, whole);
  closeFile(fd);
  return { ...recorded, attempts, inputBytes, end, damaged };
}

function count({ seqs, counts, failures }: Recorded, record: TaskRecord): void {
  seqs.add(record.seq);
  if (record.reason === "exited" && record.exit_code === 0) counts.completed++;
  else {
    if (record.reason === "timed_out") counts.timed_out++;
    else counts.failed++;
    failures.add(record);
  }
}

/** Whether the last whole line says that every task has its result. */
function isFinished(path: string): boolean {
  const fd = openFile(`${path}/results`, O.RDONLY | O.NOFOLLOW);
  if (fd < 0) return false;
  const size = fileSize(fd);
  seekTo(fd, Math.max(0, size - TAIL_BYTES));
  const tail = new Uint8Array(TAIL_BYTES);
  const got = Math.max(0, readInto(fd, tail));
  closeFile(fd);
  const lines = decoder.decode(tail.subarray(0, got)).split("\n");
  const last = readJournalLine(lines.at(-2) ?? "");
  return last !== undefined && "end" in last && last.end.finished;
}

/** Runs that were killed or interrupted and can be finished, the newest first. */
export const resumableRuns = (root: string): RunFolder[] =>
  listJournals(root).filter((folder) => !isFinished(folder.path) && isFree(folder));

/**
 * The run to resume: the one whose id begins with `wanted`, else the newest that is neither alive nor finished.
 *
 * @throws CfnError not_found, naming those that can be resumed; try_again, where it is alive; usage, for several
 */
export function chooseJournal(root: string, wanted: string | undefined): RunFolder {
  const all = listJournals(root);
  const named = wanted === undefined ? all : all.filter(({ runId }) => runId.startsWith(wanted));
  const exact = named.find(({ runId }) => runId === wanted);
  let living: { folder: RunFolder; pid: number } | undefined;
  for (const folder of exact === undefined ? named : [exact]) {
    if (wanted !== undefined && exact === undefined && named.length > 1) {
      const ids = named.slice(0, limits.journalsNamed).map(({ runId }) => runId);
      throw new CfnError(
        "usage",
        `--resume=${wanted}: ${named.length} runs begin so: ${ids.join(", ")}`,
        "add letters",
      );
    }
    if (wanted === undefined && isFinished(folder.path)) continue;
    const pid = masterOf(folder);
    if (pid === undefined) return folder;
    living ??= { folder, pid };
  }
  if (living !== undefined) throw stillAlive(living.folder, living.pid);
  const open = all.filter(({ path }) => !isFinished(path)).slice(0, limits.journalsNamed);
  const those = open.length === 0 ? "none can be resumed" : `these can: ${open.map(({ runId }) => runId).join(", ")}`;
  const what = wanted === undefined ? `no run to resume below ${root}` : `no run ${wanted} below ${root}; ${those}`;
  throw new CfnError(
    "not_found",
    what,
    `a journal is kept for ${limits.journalDays} days, unless journal.days says otherwise`,
  );
}

/** `pid`: of its master. */
export const stillAlive = ({ runId }: RunFolder, pid: number): CfnError =>
  new CfnError("try_again", `the run ${runId} is alive: process ${pid} is its master`);

/** @throws CfnError malformed, where run.json is not what was written */
export function readAbout(folder: RunFolder): JournalAbout {
  const text = readText(`${folder.path}/run.json`, limits.journalLineBytes);
  let about: Partial<JournalAbout> | undefined;
  try {
    about = text === undefined ? undefined : (JSON.parse(text) as Partial<JournalAbout>);
  } catch {
    about = undefined; // Said below, with the other ways of being damaged.
  }
  if (about?.schema === "cfn.journal/1" && about.run_id === folder.runId && Array.isArray(about.words)) {
    return about as JournalAbout;
  }
  throw new CfnError(
    "malformed",
    `the run ${folder.runId} cannot be resumed: ${folder.path}/run.json is ${text === undefined ? "missing" : "damaged or of another version"}`,
    "remove the folder, and start the run anew; its --joblog, if it has one, still leaves out what is done",
  );
}
