/** Evidence survives the death of its writers: what is cut off is left out, and damages nothing else. */
import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { EvidenceFile, evidenceOf, evidencePaths, Tail } from "../../src/chaos/evidence.ts";
import { readHistory, readLives } from "../../src/chaos/history.ts";
import { letter, readLetter } from "../../src/chaos/letter.ts";
import type { Message } from "../../src/message/message.ts";

async function withDirectory(use: (dir: string) => void | Promise<void>): Promise<void> {
  const dir = mkdtempSync(`${tmpdir()}/cfn-evidence-`);
  try {
    await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test("a line that was cut off is left out and damages none after it", () =>
  withDirectory((dir) => {
    const path = `${dir}/file`;
    const file = new EvidenceFile(path);
    file.append([["one", 1]]);
    appendFileSync(path, "\ntry p1 1 s1 4");
    file.append([["two", 2], ["three"]]);
    appendFileSync(path, "\nlast 5 ;");
    file.close();
    expect(evidenceOf(path)).toEqual([["one", "1"], ["two", "2"], ["three"]]);
  }));

test("a file that is followed gives each line once, when it is whole", () =>
  withDirectory((dir) => {
    const path = `${dir}/file`;
    const tail = new Tail(path);
    expect(tail.take()).toEqual([]);
    writeFileSync(path, "a ;\nb");
    expect(tail.take()).toEqual(["a ;"]);
    appendFileSync(path, "c ;\n");
    expect(tail.take()).toEqual(["bc ;"]);
    expect(tail.take()).toEqual([]);
  }));

test("the history is put together from what agents, senders and inboxes wrote", () =>
  withDirectory((dir) => {
    writeFileSync(
      evidencePaths.agents(dir),
      `\nstart t1 1 10 99 c1-w2 ;\n\ntry t1-10-99 1 s1 2 ;\n\nend t1 1 10 ${2 ** 32 + 99} ;\n\nstart t2`,
    );
    writeFileSync(
      evidencePaths.accepted(dir),
      '{"msg_id":"t1-10-99.aa","to":"s1","sequence":1,"status":"accepted"}\n{"msg_id":"t1-1',
    );
    writeFileSync(evidencePaths.sender(dir, "p1"), "\ntry p1 2 s1 5 ;\n\nacc p1.bb s1 ;\nrefused s1 4 ;\n");
    writeFileSync(evidencePaths.inbox(dir, "s1"), "\ngot p1 2 1 7 1 p1.bb whole ;\ngot p1 2 2 8 2 p1.cc torn ;\n");
    expect(readHistory(dir, ["p1", "p2"], ["s1", "s2"])).toEqual({
      attempted: [
        { from: "t1-10-99", generation: 1, to: "s1", n: 2 },
        { from: "p1", generation: 2, to: "s1", n: 5 },
      ],
      accepted: [
        { msgId: "t1-10-99.aa", to: "s1" },
        { msgId: "p1.bb", to: "s1" },
      ],
      refused: 4,
      receipts: [
        { inbox: "s1", from: "p1", generation: 2, n: 1, sequence: 7, attempt: 1, msgId: "p1.bb", whole: true },
        { inbox: "s1", from: "p1", generation: 2, n: 2, sequence: 8, attempt: 2, msgId: "p1.cc", whole: false },
      ],
    });
    expect(readLives(dir)).toEqual([
      { what: "start", taskId: "t1", attempt: 1, pid: 10, startTicks: 99, agentId: "c1-w2" },
      { what: "end", taskId: "t1", attempt: 1, pid: 10, startTicks: 99, agentId: "" },
    ]);
  }));

test("a letter is whole only as its sender wrote it, and only where it was sent", () => {
  const name = { from: "p1", generation: 2, n: 3 };
  for (const bytes of [0, 10, 5000]) {
    const draft = letter(name, "s1", bytes);
    const message: Message = { ...draft, msg_id: "p1.aa", sequence: 3, timestamp: 0 };
    expect(readLetter(message, "s1")).toEqual({ ...name, whole: true });
    expect(readLetter(message, "s2").whole).toBe(false);
    expect(readLetter({ ...message, from: "p2" }, "s1").whole).toBe(bytes === 0);
    const payload = draft.payload as { f: string };
    expect(readLetter({ ...message, payload: { ...payload, f: `${payload.f}x` } }, "s1").whole).toBe(false);
  }
  const other: Message = { ...letter(name, "s1", 0), payload: "x", msg_id: "p1.aa", sequence: 3, timestamp: 0 };
  expect(readLetter(other, "s1").whole).toBe(false);
});
