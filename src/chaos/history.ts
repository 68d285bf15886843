/** The messages' history out of the evidence files. */
import { readText } from "../os/file.ts";
import { evidenceOf, evidencePaths, Tail } from "./evidence.ts";
import type { Accepted, Attempted, History, Receipt } from "./messages.ts";

/** A line that `cfn send --json` printed; undefined for one that was cut off. Pure. */
function acceptedLine(line: string): Accepted | undefined {
  try {
    const { msg_id, to } = JSON.parse(line) as { msg_id?: unknown; to?: unknown };
    return typeof msg_id === "string" && typeof to === "string" ? { msgId: msg_id, to } : undefined;
  } catch {
    return undefined; // Its writer was killed: the outcome stays unknown.
  }
}

function attemptedOf(words: readonly string[]): Attempted[] {
  const [what, from, generation, to, n] = words;
  if (what !== "try" || words.length !== 5) return [];
  return [{ from: from as string, generation: Number(generation), to: to as string, n: Number(n) }];
}

function receiptOf(inbox: string, words: readonly string[]): Receipt[] {
  if (words[0] !== "got" || words.length !== 8) return [];
  const [, from, generation, n, sequence, attempt, msgId, state] = words as string[];
  return [
    {
      inbox,
      from: from as string,
      generation: Number(generation),
      n: Number(n),
      sequence: Number(sequence),
      attempt: Number(attempt),
      msgId: msgId as string,
      whole: state === "whole",
    },
  ];
}

export function readHistory(dir: string, senders: readonly string[], inboxes: readonly string[]): History {
  const attempted = evidenceOf(evidencePaths.agents(dir)).flatMap(attemptedOf);
  const accepted: Accepted[] = [];
  let refused = 0;
  for (const line of new Tail(evidencePaths.accepted(dir)).take()) {
    const one = line === "" ? undefined : acceptedLine(line);
    if (one !== undefined) accepted.push(one);
  }
  for (const id of senders) {
    for (const words of evidenceOf(evidencePaths.sender(dir, id))) {
      attempted.push(...attemptedOf(words));
      const [what, msgId, to] = words;
      if (what === "refused" && words.length === 3) refused += Number(to);
      if (what === "acc" && words.length === 3) accepted.push({ msgId: msgId as string, to: to as string });
    }
  }
  const receipts = inboxes.flatMap((inbox) =>
    evidenceOf(evidencePaths.inbox(dir, inbox)).flatMap((words) => receiptOf(inbox, words)),
  );
  return { attempted, accepted, refused, receipts };
}

/** Attempts of tasks as the agents wrote them down, in order. */
export interface Life {
  readonly taskId: string;
  readonly attempt: number;
  readonly pid: number;
  /** The low 32 bits of the clock ticks since boot at which it started. */
  readonly startTicks: number;
  /** Its seat in the swarm, as it was told at its start; "" of an end. */
  readonly agentId: string;
}

export type LifeEvent = { readonly what: "start" | "end" } & Life;

/** Undefined where the words are no beginning or end of an agent. Pure. */
export function lifeEvent(words: readonly string[]): LifeEvent | undefined {
  const [what, taskId, attempt, pid, ticks, agentId = ""] = words;
  if ((what !== "start" || words.length !== 6) && (what !== "end" || words.length !== 5)) return undefined;
  const startTicks = Number(ticks) % 2 ** 32;
  return { what, taskId: taskId as string, attempt: Number(attempt), pid: Number(pid), startTicks, agentId };
}

export function readLives(dir: string): LifeEvent[] {
  return evidenceOf(evidencePaths.agents(dir)).flatMap((words) => lifeEvent(words) ?? []);
}

/** The end of what a command said on stderr, for people. */
export function lastWords(path: string): string {
  return (readText(path) ?? "").trim().slice(-500);
}
