import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { joblogLine, openJoblog } from "../../src/coordinator/joblog.ts";
import { recordOf } from "../../src/coordinator/record.ts";
import { folderName, ResultFolders } from "../../src/coordinator/results.ts";
import { commandForEach, type TaskSource } from "../../src/coordinator/source.ts";
import type { TaskSpec } from "../../src/coordinator/spec.ts";
import { openTasks, taskFormat } from "../../src/coordinator/tasks.ts";

import type { ResultPayload } from "../../src/message/protocol.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/cfn-files-`);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(`${directory}/${name}`, content);
  return `${directory}/${name}`;
};

const task: TaskSpec = { seq: 7, id: "a", label: "a", run: ["echo", "x y"], input: "é", priority: 0 };
const result: ResultPayload = {
  task_id: "a",
  seq: 7,
  attempt: 1,
  agent_id: "w1",
  reason: "exited",
  exit_code: 3,
  signal: 0,
  started_at: 1700000000.5,
  run_time_ms: 1234.5,
  stdout_bytes: 10,
  stderr_bytes: 0,
};

async function drain(source: TaskSource): Promise<TaskSpec[]> {
  const tasks: TaskSpec[] = [];
  try {
    for (;;) {
      const next = source.next();
      if (next === "end") return tasks;
      if (next === "wait") await source.more();
      else tasks.push(next);
    }
  } finally {
    source.close();
  }
}

describe("a task list", () => {
  test("has the format that its name tells, else lines if there is a command", () => {
    expect(["a.jsonl", "a.ndjson", "a.JSON", "a.yml", "a.yaml"].map((name) => taskFormat(name, true))).toEqual([
      "jsonl",
      "jsonl",
      "json",
      "yaml",
      "yaml",
    ]);
    expect(taskFormat("-", true)).toBe("lines");
    expect(taskFormat("-", false)).toBe("jsonl");
  });

  test("gives the same tasks as JSONL, JSON and YAML", async () => {
    const lists = [
      openTasks(file("a.jsonl", '{"id":"a","run":"x"}\n\n{"run":["y"]}'), []),
      openTasks(file("a.json", '[{"id":"a","run":"x"},\n{"run":["y"]}]'), []),
      openTasks(file("a.yaml", "- id: a\n  run: x\n- run: [y]\n"), []),
      openTasks(file("b.yaml", "- id: a\n  run: x\n---\n- run: [y]\n"), []),
    ];
    for (const list of lists) {
      expect((await drain(list)).map(({ seq, id, run }) => ({ seq, id, run }))).toEqual([
        { seq: 1, id: "a", run: "x" },
        { seq: 2, id: "2", run: ["y"] },
      ]);
    }
  });

  test("that is larger than a read comes whole", async () => {
    const lines = Array.from({ length: 30_000 }, (_, n) => `line ${n}`);
    const tasks = await drain(openTasks(file("a.txt", lines.join("\n")), ["echo"]));
    expect(tasks.map((each) => each.label)).toEqual(lines);
  });

  test("that is empty has no tasks", async () => {
    for (const name of ["a.txt", "a.jsonl", "a.json", "a.yaml"]) {
      expect(await drain(openTasks(file(name, ""), ["echo"]))).toEqual([]);
    }
  });

  test("that is malformed is refused by line, after what came before", async () => {
    const source = openTasks(file("a.jsonl", '{"run":"x"}\n{"run":\n'), []);
    await source.more();
    expect(source.next()).toMatchObject({ seq: 1 });
    expect(() => source.next()).toThrow("a.jsonl line 2 is not JSON");
    source.close();
  });

  test("that is no YAML is refused", async () => {
    await expect(drain(openTasks(file("a.yaml", 'run: "x\n'), []))).rejects.toThrow("is not YAML");
  });

  test("that is a directory or absent is refused", () => {
    expect(() => openTasks(directory, ["echo"])).toThrow("is a directory");
    expect(() => openTasks(`${directory}/none`, ["echo"])).toThrow("no such file");
  });

  test("that was not given is the command, once for each agent", async () => {
    expect((await drain(commandForEach(["x"], 3))).map((each) => each.seq)).toEqual([1, 2, 3]);
  });
});

describe("the joblog", () => {
  test("has GNU parallel's columns", () => {
    expect(joblogLine(recordOf(task, result))).toBe("7\t:\t1700000000.500\t     1.234\t2\t10\t3\t0\techo 'x y'\n");
  });

  test("begins anew, or goes on with what it has", () => {
    const path = `${directory}/log`;
    for (const resume of [false, false, true]) {
      const log = openJoblog(path, resume);
      log.write(joblogLine({ ...recordOf(task, result), seq: resume ? 8 : 7 }));
      log.close();
    }
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t")[0])).toEqual(["Seq", "7", "8"]);
  });

  test("that is resumed knows what is finished, and drops a line that was cut", () => {
    const whole = `Seq\tHost\n${joblogLine(recordOf(task, result))}`;
    const path = file("log", `${whole}12\t:\t17`);
    const log = openJoblog(path, true);
    log.close();
    expect([7, 12].map((seq) => log.finished.has(seq))).toEqual([true, false]);
    expect(readFileSync(path, "utf8")).toBe(whole);
  });

  test("longer than a read is resumed whole", () => {
    const lines = Array.from({ length: 5000 }, (_, n) => joblogLine({ ...recordOf(task, result), seq: n + 1 }));
    const log = openJoblog(file("log", `Seq\tHost\n${lines.join("")}`), true);
    log.close();
    expect(log.finished.size).toBe(5000);
  });

  test("is not resumed from a file that is none", () => {
    expect(() => openJoblog(file("log", "something\n"), true)).toThrow("is not a joblog");
  });
});

describe("result folders", () => {
  test("have names as GNU parallel writes them", () => {
    expect(["a b", "a/b", "..", "a\tb\n", "a\\b", ""].map((label) => folderName(label, 5))).toEqual([
      "a b",
      "a\\_b",
      "\\..",
      "a\\tb\\n",
      "a\\\\b",
      "\\5",
    ]);
  });

  test("with long names are cut and told apart by the position", () => {
    const name = folderName("é".repeat(300), 12);
    expect(new TextEncoder().encode(name).length).toBeLessThan(256);
    expect(name).toEndWith("\\12");
  });

  test("hold seq, stdout and stderr, and never another task's", () => {
    const results = new ResultFolders(`${directory}/r`);
    for (const seq of [1, 2]) {
      const folder = results.store({ ...task, seq, label: "same" }, file("out", `out ${seq}`), file("err", ""));
      expect(readdirSync(folder).sort()).toEqual(["seq", "stderr", "stdout"]);
      expect(readFileSync(`${folder}/stdout`, "utf8")).toBe(`out ${seq}`);
    }
    expect(readdirSync(`${directory}/r/1`).sort()).toEqual(["same", "same\\2"]);
    expect(readFileSync(`${directory}/r/1/same/stdout`, "utf8")).toBe("out 1");
  });

  test("whose maker died before it had written the seq are the task's own still", () => {
    const results = new ResultFolders(`${directory}/r`);
    mkdirSync(`${directory}/r/1/a`);
    writeFileSync(`${directory}/r/1/a/.seq.123.1`, "7");
    expect(results.store(task, file("out", "o"), file("err", ""))).toBe(`${directory}/r/1/a`);
    expect(readdirSync(`${directory}/r/1/a`).sort()).toEqual(["seq", "stderr", "stdout"]);
    mkdirSync(`${directory}/r/1/b`);
    writeFileSync(`${directory}/r/1/b/mine`, "");
    const other = results.store({ ...task, seq: 8, label: "b" }, file("out", "o"), file("err", ""));
    expect(other).toBe(`${directory}/r/1/b\\8`);
  });

  test("are refused where a file stands", () => {
    expect(() => new ResultFolders(file("taken", ""))).toThrow("it is not a directory");
  });
});
