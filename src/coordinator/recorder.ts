/**
 * Records the final results of tasks, once their output is out: in the journal, then in the joblog. The lines of one turn
 * of the event loop go out in one write each.
 */

import type { ResultPayload } from "../message/protocol.ts";
import { nextTurn } from "../os/stream.ts";
import { type Joblog, joblogLine } from "./joblog.ts";
import type { Journal } from "./journal.ts";
import type { Recorded } from "./journalread.ts";
import { journalLine, recordOf } from "./record.ts";
import type { TaskSpec } from "./spec.ts";
import type { Failover } from "./swarm.ts";

export interface RecorderOptions {
  /** Absent where none can be written. */
  readonly journal: Journal | undefined;
  readonly joblog: Joblog | undefined;
  readonly earlier: Recorded;
  /** How many attempts were followed by another, over all executions of the run. */
  readonly retried: () => number;
  /** The joblog cannot be written any more. Called once. */
  readonly onFailure: (error: unknown) => void;
}

export class Recorder {
  private journalLines = "";
  private joblogLines = "";
  private waiting = false;
  private failed = false;
  private retried: number;
  private attempts: number;

  constructor(private readonly options: RecorderOptions) {
    this.retried = options.earlier.counts.retried;
    // A first attempt is what everybody assumes.
    this.attempts = Math.max(1, options.earlier.attempts);
  }

  get earlier(): Recorded {
    return this.options.earlier;
  }

  /** Whether the task has its result from an earlier run, or execution of this one. */
  has(seq: number): boolean {
    const { earlier, joblog } = this.options;
    return earlier.seqs.has(seq) || joblog?.finished.has(seq) === true;
  }

  /** A cancelled task is not recorded: it runs again. */
  add(task: TaskSpec, result: ResultPayload): void {
    const { journal, joblog } = this.options;
    if (result.reason === "cancelled" || (journal === undefined && joblog === undefined)) return;
    const record = recordOf(task, result);
    if (journal !== undefined) this.journalLines += journalLine(record);
    if (joblog !== undefined) this.joblogLines += joblogLine(record);
    if (this.waiting) return;
    this.waiting = true;
    void nextTurn().then(() => this.flush());
  }

  /** An attempt of this number is about to be given out. A higher one than ever is written down first: no two are the same. */
  attempt(number: number): void {
    if (number <= this.attempts) return;
    this.attempts = number;
    this.options.journal?.write(journalLine({ attempts: number }));
  }

  failover(failover: Failover): void {
    this.options.journal?.write(journalLine({ failover }));
  }

  /** See `Journal.keepUndelivered`. */
  keepUndelivered(lines: string): string | undefined {
    return this.options.journal?.keepUndelivered(lines);
  }

  flush(): void {
    const { journal, joblog, onFailure } = this.options;
    const [journalLines, joblogLines] = [this.journalLines, this.joblogLines];
    this.journalLines = this.joblogLines = "";
    this.waiting = false;
    if (journalLines !== "") journal?.write(this.retries() + journalLines);
    if (joblogLines === "" || this.failed) return;
    try {
      joblog?.write(joblogLines);
    } catch (error) {
      this.failed = true;
      onFailure(error);
    }
  }

  /** A line, where there were more since the last. */
  private retries(): string {
    const retried = this.options.retried();
    if (retried === this.retried) return "";
    this.retried = retried;
    return journalLine({ retried });
  }
}
