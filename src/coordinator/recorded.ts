/** Brings the counts and the joblog of a killed run to what its journal has recorded. */
import { CfnError } from "../errors.ts";
import { type Joblog, joblogLine } from "./joblog.ts";
import { type JournalRead, readResults } from "./journalread.ts";
import type { TaskRecord } from "./record.ts";

const LINES_PER_WRITE = 256;

/**
 * Reads the journal in the folder `path`, and adds to the joblog the recorded tasks that it lacks. What only the joblog
 * has, because the journal could not be written or has lost it, is not run again either. `others`: the run was begun to
 * leave out what earlier runs had logged there.
 *
 * @throws CfnError malformed, where the joblog's lines are another run's
 */
export function readRecorded(
  path: string,
  joblog: Joblog | undefined,
  others: boolean,
  onWarning: (text: string) => void,
): JournalRead {
  let common = 0;
  let first: TaskRecord | undefined;
  const read = readResults(path, (record) => {
    if (joblog?.finished.has(record.seq) !== true) return;
    first ??= record;
    common++;
  });
  if (read.damaged > 0) onWarning(`${read.damaged} lines of ${path}/results are damaged: their tasks run again`);
  if (joblog === undefined) return read;
  const only = joblog.finished.size - common;
  if (!others) {
    const same = first === undefined ? only === 0 : joblog.startOf(first.seq) === first.started_at.toFixed(3);
    if (!same) throw anotherRun(joblog.path);
    if (only > 0) onWarning(`${only} tasks stand in ${joblog.path} alone: they do not run again, and are not counted`);
  }
  if (common < read.seqs.size) addMissing(path, joblog);
  return read;
}

function addMissing(path: string, joblog: Joblog): void {
  let lines: string[] = [];
  const write = (): void => {
    joblog.write(lines.join(""));
    lines = [];
  };
  readResults(path, (record) => {
    if (!joblog.finished.has(record.seq) && lines.push(joblogLine(record)) === LINES_PER_WRITE) write();
  });
  write();
}

const anotherRun = (path: string): CfnError =>
  new CfnError(
    "malformed",
    `the joblog ${path} has lines that this run has not written`,
    "move it away: a new one is made, with what the journal has",
  );
