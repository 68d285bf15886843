/** What became of every message of a run: by what its agents wrote down, its report and the file of the undelivered. */
import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { Message } from "../../src/message/message.ts";
import { journalsOf } from "./killing.ts";
import { linesOf, type Swarm } from "./swarm.ts";

const linesIn = (path: string): string[] => (existsSync(path) ? linesOf(readFileSync(path, "utf8")) : []);

/** Those of a run, or of all its executions, in the order in which they were written down. */
export const undeliveredIn = (folder: string | undefined): Message[] =>
  linesIn(`${folder}/undelivered.jsonl`).map((line) => JSON.parse(line) as Message);

/**
 * `logs`: a directory with `sent`, ids of accepted messages, and `got`, the lines of `cfn recv`, all of which say what was
 * accepted and read; a process that was killed may not have come to write down what it sent. Every message is accounted for, and
 * the report's figures are just those.
 */
export function expectAccounted(swarm: Swarm, logs: string): void {
  const sent = new Set(linesIn(`${logs}/sent`));
  const got = new Set(linesIn(`${logs}/got`).map((line) => (JSON.parse(line) as Message).msg_id));
  const kept = undeliveredIn(journalsOf(swarm).at(-1)).map(({ msg_id }) => msg_id);
  const undelivered = new Set(kept);
  expect(
    [...sent].filter((id) => !got.has(id) && !undelivered.has(id)),
    "accepted, and gone",
  ).toEqual([]);
  const { messages } = swarm.report();
  expect(kept.length, "written down twice").toBe(undelivered.size);
  expect(messages.accepted, "accepted").toBe(new Set([...got, ...undelivered]).size);
  // Written out and not acknowledged: the reader was killed in between.
  expect(messages.delivered, "delivered").toBe([...got].filter((id) => !undelivered.has(id)).length);
  expect(messages.undelivered, "undelivered").toBe(undelivered.size);
  expect(messages.accepted).toBe(messages.delivered + messages.undelivered);
  expect(messages.undelivered_listed.length + messages.undelivered_omitted).toBe(messages.undelivered);
  expect(messages.undelivered_listed.every(({ msg_id }) => undelivered.has(msg_id))).toBe(true);
}
