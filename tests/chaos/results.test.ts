/** The checker of results finds each kind of violation in files made by hand. */
import { describe, expect, test } from "bun:test";
import type { LifeEvent } from "../../src/chaos/history.ts";
import { checkResults, type ResultsRecord } from "../../src/chaos/results.ts";

const HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const line = (seq: number, exit = 0): string => `${seq}\t:\t1.000\t     0.500\t0\t20\t${exit}\t0\tsh agent\n`;
const life = (what: "start" | "end", seq: number, attempt = 1): LifeEvent => ({
  what,
  taskId: `t${seq}`,
  attempt,
  pid: 100 + seq,
  startTicks: 5000 + attempt,
  agentId: what === "start" ? `c1-w${seq}` : "",
});
const stdout = (seq: number, attempt = 1): string => `result t${seq} ${attempt} ${100 + seq} ${5000 + attempt}\n`;
const folder = (seq: number, name = `t${seq}`) => ({ name, seq, stdout: stdout(seq) });

const record = (changes: Partial<ResultsRecord> = {}): ResultsRecord => ({
  tasks: 2,
  taskName: (seq) => `t${seq}`,
  joblog: HEADER + line(2) + line(1),
  folders: [folder(1), folder(2)],
  lives: [life("start", 1), life("start", 2), life("end", 1), life("end", 2)],
  ...changes,
});

const clean = { expected: 2, recorded: 2, lost: 0, duplicated: 0, failed: 0, damaged: 0, repeated: 0 };

describe("the checker of results", () => {
  test("finds nothing wrong where each task has one", () => {
    expect(checkResults(record())).toEqual({ ...clean, attempts: 2, examples: [] });
  });

  test("finds a task without one", () => {
    expect(checkResults(record({ joblog: HEADER + line(1) }))).toMatchObject({
      recorded: 1,
      lost: 1,
      examples: ["t2: no line in the joblog; attempts begun: 1 by c1-w2; ended: 1"],
    });
    expect(checkResults(record({ joblog: "" }))).toMatchObject({ recorded: 0, lost: 2 });
  });

  test("does not take a line that was cut off for one", () => {
    expect(checkResults(record({ joblog: HEADER + line(1) + line(2).slice(0, -3) }))).toMatchObject({ lost: 1 });
  });

  test("finds a second line and a second folder", () => {
    expect(checkResults(record({ joblog: HEADER + line(1) + line(2) + line(1) }))).toMatchObject({ duplicated: 1 });
    const folders = [folder(1), folder(2), folder(2, "t2\\2")];
    expect(checkResults(record({ folders }))).toMatchObject({ duplicated: 1 });
  });

  test("finds a failed task", () => {
    expect(checkResults(record({ joblog: HEADER + line(1, 137) + line(2) }))).toMatchObject({ ...clean, failed: 1 });
  });

  test("finds an output that is missing, cut, another task's or of an attempt that never was", () => {
    const wrong = ["", stdout(2).slice(0, -2), stdout(1), stdout(2, 9), stdout(2) + stdout(2)];
    for (const text of wrong) {
      const folders = [folder(1), { name: "t2", seq: 2, stdout: text }];
      expect(checkResults(record({ folders })), text).toMatchObject({ ...clean, damaged: 1 });
    }
    expect(checkResults(record({ folders: [folder(1)] }))).toMatchObject({ damaged: 1 });
  });

  test("allows a task that was done twice and recorded once", () => {
    const lives = [...record().lives, life("start", 1, 2), life("end", 1, 2)];
    expect(checkResults(record({ lives }))).toMatchObject({ ...clean, attempts: 3, repeated: 1 });
  });
});
