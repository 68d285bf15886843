/** The checker of results: what a run wrote down about its tasks, against what the agents did. Pure. */
import { limits } from "../limits.ts";
import type { LifeEvent } from "./history.ts";

export interface ResultFolder {
  readonly name: string;
  readonly seq: number;
  readonly stdout: string;
}

export interface ResultsRecord {
  readonly tasks: number;
  readonly taskName: (seq: number) => string;
  readonly joblog: string;
  readonly folders: readonly ResultFolder[];
  readonly lives: readonly LifeEvent[];
}

export interface ResultCounts {
  readonly expected: number;
  /** Tasks with a line in the joblog. */
  readonly recorded: number;
  /** Tasks without one. */
  readonly lost: number;
  /** Lines and folders beyond the first of a task. */
  readonly duplicated: number;
  /** Tasks whose result is a failure, though they may be tried again as often as need be. */
  readonly failed: number;
  /** Recorded tasks whose output is not that of one of their attempts, whole. */
  readonly damaged: number;
  /** Attempts begun. */
  readonly attempts: number;
  /** Tasks that ran to their end more than once: allowed, for an end that nobody heard of is done again. */
  readonly repeated: number;
  readonly examples: readonly string[];
}

export function checkResults({ tasks, taskName, joblog, folders, lives }: ResultsRecord): ResultCounts {
  const examples: string[] = [];
  const wrong = (text: string): number => {
    if (examples.length < limits.chaosExamples) examples.push(text);
    return 1;
  };
  const outputs = new Set<string>();
  const ended = new Map<string, number>();
  const begun = new Map<string, string[]>();
  let attempts = 0;
  for (const { what, taskId, attempt, pid, startTicks, agentId } of lives) {
    if (what === "start") {
      attempts++;
      begun.set(taskId, [...(begun.get(taskId) ?? []), `${attempt} by ${agentId}`]);
      outputs.add(`${taskId} ${attempt} ${pid} ${startTicks}`);
    } else ended.set(taskId, (ended.get(taskId) ?? 0) + 1);
  }
  const bySeq = new Map<number, ResultFolder[]>();
  for (const folder of folders) bySeq.set(folder.seq, [...(bySeq.get(folder.seq) ?? []), folder]);
  const lines = linesBySeq(joblog);
  const counts = { recorded: 0, lost: 0, duplicated: 0, failed: 0, damaged: 0 };
  for (let seq = 1; seq <= tasks; seq++) {
    const name = taskName(seq);
    const [line, ...more] = lines.get(seq) ?? [];
    const [folder, ...others] = bySeq.get(seq) ?? [];
    for (const extra of more) counts.duplicated += wrong(`${name}: a second line in the joblog: ${extra.join(" ")}`);
    for (const extra of others) counts.duplicated += wrong(`${name}: a second folder of results: ${extra.name}`);
    if (line === undefined) {
      const begins = begun.get(name)?.join(", ") ?? "none";
      counts.lost += wrong(`${name}: no line in the joblog; attempts begun: ${begins}; ended: ${ended.get(name) ?? 0}`);
      continue;
    }
    counts.recorded++;
    if (line[6] !== "0" || line[7] !== "0") {
      counts.failed += wrong(`${name}: exit status ${line[6]}, signal ${line[7]}`);
    } else if (folder === undefined || !isOutput(folder.stdout, name, outputs)) {
      counts.damaged += wrong(`${name}: its output is ${JSON.stringify(folder?.stdout.slice(0, 80))}`);
    }
  }
  const repeated = [...ended.values()].filter((times) => times > 1).length;
  return { expected: tasks, ...counts, attempts, repeated, examples };
}

/** The columns of the whole lines. */
function linesBySeq(joblog: string): Map<number, string[][]> {
  const bySeq = new Map<number, string[][]>();
  for (const line of joblog.split("\n").slice(1, -1)) {
    const columns = line.split("\t");
    const seq = Number(columns[0]);
    bySeq.set(seq, [...(bySeq.get(seq) ?? []), columns]);
  }
  return bySeq;
}

function isOutput(stdout: string, name: string, outputs: ReadonlySet<string>): boolean {
  const match = /^result (\S+) (\d+) (\d+) (\d+)\n$/.exec(stdout);
  if (match === null || match[1] !== name) return false;
  return outputs.has(`${match[1]} ${match[2]} ${match[3]} ${Number(match[4]) % 2 ** 32}`);
}
