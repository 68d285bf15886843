/**
 * What is recorded of a task when its final result is there: enough for the joblog and for the counts of the whole run.
 * Pure.
 *
 * A line of the journal is one JSON object whose last field is `crc`, the CRC-32 of the object without it: a line that a
 * power cut or a bad disk has changed is known as such, and its task runs again.
 */
import { limits } from "../limits.ts";
import type { ResultPayload } from "../message/protocol.ts";
import type { TaskCounts } from "./decide.ts";
import { isResult } from "./payload.ts";
import { commandText, type TaskSpec } from "./spec.ts";
import type { Failover } from "./swarm.ts";

export interface TaskRecord extends ResultPayload {
  /** As the joblog shows it. */
  readonly command: string;
  readonly input_bytes: number;
}

export interface RunEnded {
  /** `finished`: every task of the list has its result. */
  readonly end: { readonly status: string; readonly finished: boolean; readonly tasks: TaskCounts };
}

/**
 * A line of the journal: a task's result, how many retries there were so far, the highest number that an attempt has been given,
 * a coordinator that died, the end of a list that came by a pipe, or of the run.
 */
export type JournalEntry =
  | TaskRecord
  | { readonly retried: number }
  | { readonly attempts: number }
  | { readonly failover: Failover }
  /** `bytes`: how many the copy of the list has. */
  | { readonly input_ended: { readonly bytes: number } }
  | RunEnded;

const OTHERS = ["end", "input_ended", "retried", "attempts", "failover"];
const encoder = new TextEncoder();

export function recordOf(task: TaskSpec, result: ResultPayload): TaskRecord {
  const input_bytes = task.input === undefined ? 0 : encoder.encode(task.input).length;
  return { ...result, command: commandText(task.run), input_bytes };
}

/** Ends with a newline. */
export function journalLine(entry: JournalEntry): string {
  const body = JSON.stringify(entry);
  return `${body.slice(0, -1)},"crc":${Bun.hash.crc32(body)}}\n`;
}

/** Undefined where the line is not one that was written. */
export function readJournalLine(line: string): JournalEntry | undefined {
  const at = line.lastIndexOf(',"crc":');
  if (at < 0 || line.length > limits.journalLineBytes) return undefined;
  const body = `${line.slice(0, at)}}`;
  if (line.slice(at + 7) !== `${Bun.hash.crc32(body)}}`) return undefined;
  const entry = JSON.parse(body) as JournalEntry;
  const isKnown = isResult(entry) || OTHERS.some((name) => name in entry);
  return isKnown ? (entry as JournalEntry) : undefined;
}
