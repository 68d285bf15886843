/** One task of a run. Pure. */
import type { TaskPayload } from "../message/protocol.ts";

export interface TaskSpec {
  /** Position in the list, from 1. What tells tasks apart. */
  readonly seq: number;
  /** As given; the position where none was. */
  readonly id: string;
  /** What `--tag` and `--results` call it: the plain line, or the id. */
  readonly label: string;
  readonly run: string | readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly retries?: number;
  /** Higher goes first among the tasks that have been read and wait. Default 0. */
  readonly priority: number;
}

/** The task as it travels. `defaultTimeoutMs` is `--timeout`. */
export function taskPayload(spec: TaskSpec, attempt: number, defaultTimeoutMs: number | undefined): TaskPayload {
  const timeoutMs = spec.timeoutMs ?? defaultTimeoutMs;
  return {
    task_id: spec.id,
    seq: spec.seq,
    attempt,
    run: spec.run,
    ...(spec.input === undefined ? {} : { input: spec.input }),
    ...(spec.env === undefined ? {} : { env: spec.env }),
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
  };
}

/** The command for people, as the joblog shows it: one line. */
export function commandText(run: string | readonly string[]): string {
  const text = typeof run === "string" ? run : run.map(quoted).join(" ");
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
