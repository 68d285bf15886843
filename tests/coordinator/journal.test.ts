import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { joblogLine, openJoblog } from "../../src/coordinator/joblog.ts";
import { beginJournal, Journal, type JournalAbout } from "../../src/coordinator/journal.ts";
import { journalRoot, listJournals, masterOf, takeJournal } from "../../src/coordinator/journalfolder.ts";
import { chooseJournal, readAbout, readResults } from "../../src/coordinator/journalread.ts";
import { journalLine, readJournalLine, recordOf, type TaskRecord } from "../../src/coordinator/record.ts";
import { readRecorded } from "../../src/coordinator/recorded.ts";
import { replayOf } from "../../src/coordinator/replay.ts";
import { openTasks } from "../../src/coordinator/tasks.ts";
import { CfnError } from "../../src/errors.ts";
import { limits } from "../../src/limits.ts";
import type { ResultPayload } from "../../src/message/protocol.ts";
import { seeded } from "../support/seed.ts";

let state = "";
let root = "";
beforeEach(() => {
  state = mkdtempSync(`${tmpdir()}/cfn-journal-`);
  root = journalRoot({ XDG_STATE_HOME: state });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 0, 31, 12) / 1000;
const about = (run_id: string, more: Partial<JournalAbout> = {}): JournalAbout => ({
  schema: "cfn.journal/1",
  version: "0",
  run_id,
  words: ["--", "true"],
  cwd: "/",
  environment: {},
  started_at: NOW,
  boot_id: "b",
  tasks: "command",
  ...more,
});

const warnings: string[] = [];
const warn = (text: string): void => void warnings.push(text);
const kept = { days: limits.journalDays, keep: limits.journalsMost };
const begin = (runId: string, more?: Partial<JournalAbout>): Journal =>
  beginJournal(root, about(runId, more), kept, warn);

const result = (seq: number, more: Partial<ResultPayload> = {}): ResultPayload => ({
  task_id: `t${seq}`,
  seq,
  attempt: 1,
  agent_id: "w1",
  reason: "exited",
  exit_code: 0,
  signal: 0,
  started_at: 1700000000 + seq,
  run_time_ms: 1,
  stdout_bytes: 3,
  stderr_bytes: 0,
  ...more,
});
const record = (seq: number, more?: Partial<ResultPayload>): TaskRecord =>
  recordOf({ seq, id: `t${seq}`, label: "", run: `echo "é\n" ${seq}`, priority: 0 }, result(seq, more));

const tasks = { total: 2, completed: 2, failed: 0, timed_out: 0, cancelled: 0, retried: 0 };
const ended = { status: "completed", finished: true, tasks };
const folderOf = (runId: string): string => listJournals(root).find((each) => each.runId === runId)?.path as string;
const seqsIn = (path: string): number[] => {
  const seqs: number[] = [];
  readResults(path, ({ seq }) => seqs.push(seq));
  return seqs;
};
const errorOf = (act: () => unknown): CfnError => {
  try {
    act();
  } catch (error) {
    if (error instanceof CfnError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("a journal", () => {
  test("is private, and names the run and its time", () => {
    begin("abc");
    const path = folderOf("abc");
    expect(path).toBe(`${root}/20260131T120000.000-abc`);
    expect(readdirSync(path).sort()).toEqual(["owner", "results", "run.json"]);
    for (const each of [`${state}/cfn`, root, path]) expect(statSync(each).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(path)) expect(statSync(`${path}/${name}`).mode & 0o777).toBe(0o600);
    expect(readAbout({ path, runId: "abc" })).toEqual(about("abc"));
  });

  test("gives back what was recorded, over several executions", async () => {
    const journal = begin("abc");
    journal.write(journalLine({ retried: 1 }) + journalLine(record(1)));
    journal.write(journalLine({ retried: 2 }) + journalLine(record(3, { exit_code: 2, attempt: 3 })));
    await journal.end({ ...ended, finished: false });
    const held = takeJournal({ path: folderOf("abc"), runId: "abc" });
    if (held === "busy") throw new Error("nobody holds it");
    const again = new Journal(held, false, warn);
    again.write(journalLine(record(2, { reason: "timed_out", exit_code: 124 })));
    const read = readResults(held.path, () => undefined);
    expect(read.counts).toEqual({ completed: 1, failed: 1, timed_out: 1, retried: 2 });
    expect(read.failures.listed.map(({ task_id }) => task_id)).toEqual(["t3", "t2"]);
    expect([1, 2, 3, 4].filter((seq) => read.seqs.has(seq))).toEqual([1, 2, 3]);
    expect(read.end).toBeUndefined();
    await again.end(ended);
    expect(readResults(held.path, () => undefined).end).toEqual(ended);
  });

  test("loses the half line that a death left of an unread message, though the next execution keeps none", async () => {
    const journal = begin("abc");
    const file = journal.keepUndelivered('{"n":1}\n') as string;
    await journal.end({ ...ended, finished: false });
    appendFileSync(file, '{"n":');
    const held = takeJournal({ path: folderOf("abc"), runId: "abc" });
    if (held === "busy") throw new Error("nobody holds it");
    await new Journal(held, false, warn).end(ended);
    expect(readFileSync(file, "utf8")).toBe('{"n":1}\n');
  });

  test("is held by its owner, and by whoever inherits the descriptor", async () => {
    const journal = begin("abc");
    const folder = { path: folderOf("abc"), runId: "abc" };
    expect(masterOf(folder)).toBe(process.pid);
    expect(takeJournal(folder)).toBe("busy");
    expect(errorOf(() => chooseJournal(root, undefined)).code).toBe("try_again");
    const heir = Bun.spawn(["sleep", "60"], { stdio: [journal.ownerFd, "ignore", "ignore"] });
    await journal.end({ ...ended, finished: false });
    expect(takeJournal(folder)).toBe("busy");
    heir.kill("SIGKILL");
    await heir.exited;
    expect(takeJournal(folder)).not.toBe("busy");
  });

  test("that is full is cut to whole lines, says so once, and records nothing more", async () => {
    warnings.length = 0;
    const journal = begin("abc");
    journal.write(journalLine(record(1)));
    // A descriptor that cannot be written stands for a disk that is full.
    const results = (journal as unknown as { results: { fd: number } }).results;
    const { fd } = results;
    results.fd = 1_000_000;
    journal.write(journalLine(record(2)));
    results.fd = fd;
    journal.write(journalLine(record(3)));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("cannot write the journal");
    expect(seqsIn(folderOf("abc"))).toEqual([1]);
    await journal.end(ended);
    expect(readResults(folderOf("abc"), () => undefined).end).toEqual(ended);
  });

  test("of a finished run whose end cannot be written is removed", async () => {
    const journal = begin("abc");
    (journal as unknown as { results: { fd: number } }).results.fd = 1_000_000;
    await journal.end(ended);
    expect(listJournals(root)).toEqual([]);
  });
});

describe("a place for journals", () => {
  test("is below XDG_STATE_HOME, or HOME, or nowhere", () => {
    expect(journalRoot({ XDG_STATE_HOME: "/a/b/", HOME: "/h" })).toBe("/a/b/cfn/runs");
    for (const XDG_STATE_HOME of [undefined, "", "relative"])
      expect(journalRoot({ XDG_STATE_HOME, HOME: "/h" })).toBe("/h/.local/state/cfn/runs");
    expect(errorOf(() => journalRoot({})).message).toContain("neither XDG_STATE_HOME nor HOME");
  });

  test.each([
    ["a symbolic link", () => symlinkSync(tmpdir(), `${state}/cfn`), "it is a symlink"],
    ["a file", () => writeFileSync(`${state}/cfn`, ""), "it is a file"],
    [
      "open to others",
      () => {
        mkdirSync(`${state}/cfn`);
        chmodSync(`${state}/cfn`, 0o777);
      },
      "others may write there",
    ],
  ])("that is %s is not used", (_, make, message) => {
    make();
    const error = errorOf(() => begin("abc"));
    expect([error.code, error.message]).toEqual(["cannot_create", expect.stringContaining(message)]);
  });
});

describe("journals", () => {
  test("of one second are in the order of their making, whatever the runs are called", () => {
    for (const [runId, millisecond] of [
      ["b", 3],
      ["a", 50],
      ["c", 4],
    ] as const) {
      begin(runId, { started_at: NOW + millisecond / 1000 });
    }
    mkdirSync(`${root}/20260131T120000-before`);
    expect(listJournals(root).map(({ runId }) => runId)).toEqual(["a", "c", "b", "before"]);
  });
});

describe("old journals", () => {
  const fake = (stamp: string, runId: string): string => {
    const path = `${root}/${stamp}-${runId}`;
    mkdirSync(path, { recursive: true });
    writeFileSync(`${path}/owner`, "");
    return path;
  };

  test("are removed by the time in their name, unless somebody holds them", async () => {
    const old = begin("old", { started_at: NOW - 9 * 86_400 });
    fake("20260124T115959", "seven");
    fake("20260124T120001", "six");
    mkdirSync(`${root}/.new-1-1-dead`);
    mkdirSync(`${root}/something`);
    begin("now");
    expect(listJournals(root).map(({ runId }) => runId)).toEqual(["now", "six", "old"]);
    expect(readdirSync(root).filter((name) => !name.includes("-"))).toEqual(["something"]);
    expect(existsSync(`${root}/.new-1-1-dead`)).toBe(false);
    await old.end(ended);
    begin("later");
    expect(
      listJournals(root)
        .map(({ runId }) => runId)
        .sort(),
    ).toEqual(["later", "now", "six"]);
  });

  test("beyond the most that are kept are removed, the oldest first", () => {
    for (let n = 0; n < limits.journalsMost + 5; n++) fake(`20260131T1100${String(n % 60).padStart(2, "0")}`, `r${n}`);
    const before = listJournals(root);
    begin("now");
    const after = listJournals(root);
    expect(after).toHaveLength(limits.journalsMost);
    expect(after.slice(1)).toEqual(before.slice(0, limits.journalsMost - 1));
  });
});

describe("the run to resume", () => {
  test("is the newest that is not finished; or the one named, by the beginning of its id", async () => {
    const make = async (runId: string, finished: boolean, at: number): Promise<void> =>
      begin(runId, { started_at: NOW + at }).end({ ...ended, finished });
    await make("aaa", false, 0);
    await make("bbb", false, 1);
    await make("bcc", true, 2);
    expect(chooseJournal(root, undefined).runId).toBe("bbb");
    expect(chooseJournal(root, "bcc").runId).toBe("bcc");
    expect(chooseJournal(root, "a").runId).toBe("aaa");
    expect(errorOf(() => chooseJournal(root, "b"))).toMatchObject({
      code: "usage",
      message: expect.stringContaining("bcc, bbb"),
    });
    expect(errorOf(() => chooseJournal(root, "x"))).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("these can: bbb, aaa"),
    });
  });
});

describe("a damaged journal", () => {
  const written = (path: string, count: number): string => {
    const lines = Array.from({ length: count }, (_, n) => journalLine(record(n + 1)));
    writeFileSync(`${path}/results`, lines.join(""));
    return lines.join("");
  };

  test("cut anywhere keeps every whole line, and goes on after them", () => {
    const random = seeded("a cut journal");
    begin("abc");
    const path = folderOf("abc");
    for (let round = 0; round < 300; round++) {
      const text = Buffer.from(written(path, 20));
      const at = random.below(text.length + 1);
      truncateSync(`${path}/results`, at);
      const whole = text.subarray(0, at).toString("latin1").split("\n").length - 1;
      const read = readResults(path, () => undefined);
      expect({ at, size: read.seqs.size, damaged: read.damaged }).toEqual({ at, size: whole, damaged: 0 });
      writeFileSync(`${path}/results`, journalLine(record(20)), { flag: "a" });
      expect(seqsIn(path).at(-1)).toBe(20);
    }
  });

  test("with wrong bytes anywhere never gives a task that was not recorded so, and says how many lines are lost", () => {
    const random = seeded("a journal with wrong bytes");
    begin("abc");
    const path = folderOf("abc");
    const all = new Map(Array.from({ length: 20 }, (_, n) => [n + 1, JSON.stringify(record(n + 1))]));
    for (let round = 0; round < 500; round++) {
      const bytes = Buffer.from(written(path, 20));
      for (let left = 1 + random.below(30), at = random.below(bytes.length); left > 0; left--, at++)
        bytes[at % bytes.length] = random.below(3) === 0 ? 0 : random.below(256);
      writeFileSync(`${path}/results`, bytes);
      let wrong = 0;
      const read = readResults(path, ({ crc, ...entry }: TaskRecord & { crc?: number }) => {
        if (JSON.stringify(entry) !== all.get(entry.seq)) wrong++;
      });
      expect({ round, wrong }).toEqual({ round, wrong: 0 });
      expect(read.seqs.size).toBeGreaterThanOrEqual(18 - 1);
      expect(read.seqs.size + read.damaged).toBeLessThanOrEqual(50);
    }
  });

  test("of one endless line is read within bounds", () => {
    begin("abc");
    const path = folderOf("abc");
    const whole = written(path, 2);
    writeFileSync(`${path}/results`, `${whole}${"x".repeat(3 * limits.journalLineBytes)}\n${journalLine(record(9))}`);
    const read = readResults(path, () => undefined);
    expect([read.seqs.size, read.damaged, read.seqs.has(9)]).toEqual([3, 1, true]);
  });

  test("without its description is refused with the reason", () => {
    begin("abc");
    const path = folderOf("abc");
    const text = readFileSync(`${path}/run.json`, "utf8");
    const random = seeded("a cut description");
    for (let round = 0; round < 100; round++) {
      // The last two characters are the brace and the newline.
      writeFileSync(`${path}/run.json`, text.slice(0, random.below(text.length - 1)));
      expect(errorOf(() => readAbout({ path, runId: "abc" }))).toMatchObject({
        code: "malformed",
        message: expect.stringContaining("run.json is damaged"),
      });
    }
    rmSync(`${path}/run.json`);
    expect(errorOf(() => readAbout({ path, runId: "abc" })).message).toContain("run.json is missing");
  });

  test("has no line whose checksum is another's", () => {
    const line = journalLine(record(1)).trimEnd();
    expect(readJournalLine(line)).toMatchObject({ seq: 1 });
    expect(readJournalLine(line.replace('"seq":1', '"seq":2'))).toBeUndefined();
    expect(readJournalLine(journalLine({ other: 1 } as never).trimEnd())).toBeUndefined();
  });
});

describe("the copy of a list", () => {
  async function drained(path: string, copy: ReturnType<typeof replayOf>["copy"]): Promise<string[]> {
    const source = openTasks("-", ["echo"], copy);
    const labels: string[] = [];
    for (let next = source.next(); next !== "end"; next = source.next()) {
      if (next === "wait") await source.more();
      else labels.push(next.label);
    }
    source.close();
    expect(path).not.toBe("");
    return labels;
  }

  test("is written before a task is given out, and replayed as it was", async () => {
    const journal = begin("abc", { tasks: "copied" });
    const path = folderOf("abc");
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n}`);
    writeFileSync(`${state}/list`, lines.join("\n"));
    const source = openTasks(`${state}/list`, ["echo"], { copyInput: journal.copyInput });
    let given = 0;
    for (let next = source.next(); next !== "end"; next = source.next()) {
      if (next === "wait") await source.more();
      else if (++given % 500 === 0) expect(readFileSync(`${path}/tasks`, "utf8")).toContain(`${next.label}\n`);
    }
    source.close();
    const { inputBytes } = readResults(path, () => undefined);
    expect(inputBytes).toBe(lines.join("\n").length + 1);
    const { copy, warning } = replayOf(path, "-", true, inputBytes);
    expect(warning).toBeUndefined();
    expect(await drained(path, copy)).toEqual(lines);
  });

  test("whose end was never read ends with its last whole line, and says so", async () => {
    begin("abc", { tasks: "copied" });
    const path = folderOf("abc");
    writeFileSync(`${path}/tasks`, "a\n\nb\nhal");
    const { copy, warning } = replayOf(path, "-", true, undefined);
    expect(warning).toContain("2 tasks had been read");
    expect(await drained(path, copy)).toEqual(["a", "b"]);
  });

  test("that has lost its end runs what it has, and then says what is missing", async () => {
    begin("abc", { tasks: "copied" });
    const path = folderOf("abc");
    const random = seeded("a cut copy");
    const text = "aa\nbb\ncc\n";
    for (let round = 0; round < 20; round++) {
      const at = random.below(text.length);
      writeFileSync(`${path}/tasks`, text.slice(0, at));
      const { copy } = replayOf(path, "-", true, text.length);
      await expect(drained(path, copy)).rejects.toThrow(`has only ${at} of 9 bytes left`);
    }
    rmSync(`${path}/tasks`);
    expect(errorOf(() => replayOf(path, "-", true, text.length)).code).toBe("malformed");
  });
});

describe("the joblog of a resumed run", () => {
  const log = (): string => `${state}/log`;
  const logged = (): number[] =>
    readFileSync(log(), "utf8")
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => Number(line.split("\t")[0]));
  const read = (others = false) => readRecorded(folderOf("abc"), openJoblog(log(), true), others, warn);

  test("gets the lines that it lacks, each once", () => {
    begin("abc").write([1, 2, 3, 4].map((seq) => journalLine(record(seq))).join(""));
    openJoblog(log(), false).write(joblogLine(record(2)));
    expect(read().seqs.size).toBe(4);
    expect(logged()).toEqual([2, 1, 3, 4]);
    read();
    expect(logged()).toEqual([2, 1, 3, 4]);
    rmSync(log());
    read();
    expect(logged()).toEqual([1, 2, 3, 4]);
  });

  test("with lines of its own that the journal lost keeps them", () => {
    warnings.length = 0;
    begin("abc").write(journalLine(record(1)));
    openJoblog(log(), false).write(joblogLine(record(1)) + joblogLine(record(2)));
    expect(read().seqs.size).toBe(1);
    expect(logged()).toEqual([1, 2]);
    expect(warnings).toEqual([expect.stringContaining("1 tasks stand in")]);
  });

  test("with another run's lines is refused, unless the run was begun to go on with them", () => {
    begin("abc").write(journalLine(record(1)));
    openJoblog(log(), false).write(joblogLine({ ...record(1), started_at: 5 }));
    expect(errorOf(() => read()).code).toBe("malformed");
    openJoblog(log(), false).write(joblogLine(record(7)));
    expect(errorOf(() => read()).code).toBe("malformed");
    expect(read(true).seqs.size).toBe(1);
    expect(logged()).toEqual([7, 1]);
  });
});
