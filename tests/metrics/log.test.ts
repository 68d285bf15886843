import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AttemptEvent } from "../../src/metrics/events.ts";
import { MetricsLog } from "../../src/metrics/log.ts";
import { metricsFiles, readMetrics } from "../../src/metrics/read.ts";
import { threadCpuMs } from "../../src/os/clock.ts";
import { linesOf } from "../support/swarm.ts";

let folder = "";
let warnings: string[] = [];
beforeEach(() => {
  folder = `${mkdtempSync(`${tmpdir()}/cfn-metrics-`)}/metrics`;
  warnings = [];
});
afterEach(() => {
  globalThis.outOfSpace = undefined;
  rmSync(folder.slice(0, -"/metrics".length), { recursive: true, force: true });
});

const open = (settings = { fileBytes: 1 << 20, files: 4 }): MetricsLog =>
  new MetricsLog({ folder, runId: "r1", writer: "master", settings, onWarning: (text) => void warnings.push(text) });

const attempt = (log: MetricsLog, task_id: string): AttemptEvent => {
  const about = { seq: 1, attempt: 1, agent: "w1", team: "c1", reason: "exited", exit_code: 0 } as const;
  return { t: 1.5, n: log.next(), event: "attempt", task_id, ...about };
};

const write = (log: MetricsLog, ...ids: string[]): void => {
  for (const id of ids) log.emit(attempt(log, id));
  log.flush();
};

const text = (name = "master.jsonl"): string => readFileSync(`${folder}/${name}`, "utf8");
const header = (next: number) => ({ schema: "cfn.metrics/1", run_id: "r1", writer: "master", next });
const ids = (): string[] => {
  const seen: string[] = [];
  readMetrics(metricsFiles(folder), (event) => void (event.event === "attempt" && seen.push(event.task_id)));
  return seen;
};
const faultsIn = () => readMetrics(metricsFiles(folder), () => undefined).faults;
const nothingWrong = { broken: 0, places: [], torn: 0, missing: 0, rotated_away: 0 };

describe("a metrics file", () => {
  test("begins with its header, and has a line for each event, numbered from 1", () => {
    const log = open();
    write(log, "a", "b");
    write(log, "c");
    log.close();
    const lines = linesOf(text()).map((line) => JSON.parse(line));
    expect(lines[0]).toEqual(header(1));
    expect(lines.slice(1).map(({ n, task_id }) => [n, task_id])).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
  });

  test("knows what it has cost, each part of the work once", () => {
    const log = open();
    const made = log.spentMs;
    expect(made).toBeGreaterThan(0);
    const work = () => {
      const begin = threadCpuMs();
      while (threadCpuMs() - begin < 2);
    };
    const before = threadCpuMs();
    log.costing(() => {
      work();
      log.costing(work);
      expect(log.spentMs - made).toBeGreaterThanOrEqual(4);
    });
    const whole = threadCpuMs() - before;
    const cost = log.spentMs - made;
    expect(cost).toBeGreaterThanOrEqual(4);
    expect(cost).toBeLessThanOrEqual(whole);
    work();
    expect(log.spentMs - made).toBe(cost);
    log.close();
  });

  test("keeps events apart whatever a task is called", () => {
    const names = ['},{"t":', '}\n{"t":1}', "\\", '"', "é\u2028", '\\},{\\"t\\":'];
    const log = open();
    write(log, ...names);
    log.close();
    expect(linesOf(text())).toHaveLength(1 + names.length);
    expect(ids()).toEqual(names);
  });

  test("is written without being asked, soon after an event", async () => {
    const log = open();
    log.emit(attempt(log, "a"));
    expect(text()).toBe("");
    while (text() === "") await Bun.sleep(5);
    expect(ids()).toEqual(["a"]);
    log.close();
  });

  test("that is full is renamed; the oldest goes, the numbers go on, and what is gone is known", () => {
    const log = open({ fileBytes: 400, files: 4 });
    for (let n = 1; n <= 20; n++) write(log, `t${n}`);
    log.close();
    expect(readdirSync(folder).sort()).toEqual(["", ".1", ".2", ".3"].map((end) => `master.jsonl${end}`));
    for (const name of readdirSync(folder)) {
      expect(text(name).length, name).toBeLessThanOrEqual(400);
      const [first, second] = linesOf(text(name)).map((line) => JSON.parse(line));
      expect(first).toEqual(header(second.n));
    }
    const kept = ids();
    expect(kept).toEqual(Array.from({ length: 20 }, (_, n) => `t${n + 1}`).slice(-kept.length));
    expect(faultsIn()).toEqual({ ...nothingWrong, rotated_away: 20 - kept.length });
  });

  test("of which one is kept is replaced", () => {
    const log = open({ fileBytes: 400, files: 1 });
    for (let n = 1; n <= 9; n++) write(log, `t${n}`);
    log.close();
    expect(readdirSync(folder)).toEqual(["master.jsonl"]);
    expect(ids().at(-1)).toBe("t9");
  });

  test("is gone on with by the next process, without the half line that a death left", () => {
    const first = open();
    write(first, "a", "b");
    first.close();
    writeFileSync(`${folder}/master.jsonl`, `${text()}{"t":1.5,"n":3,"ev`);
    const second = open();
    write(second, "c");
    second.close();
    expect(ids()).toEqual(["a", "b", "c"]);
    expect(linesOf(text())).toHaveLength(4);
    expect(faultsIn()).toEqual(nothingWrong);
  });

  test("is gone on with in number where the death was between two files", () => {
    const first = open();
    write(first, "a", "b");
    first.close();
    writeFileSync(`${folder}/master.jsonl.1`, text());
    rmSync(`${folder}/master.jsonl`);
    const second = open();
    write(second, "c");
    second.close();
    expect(JSON.parse(linesOf(text())[0] as string)).toEqual(header(3));
    expect(ids()).toEqual(["a", "b", "c"]);
  });

  test("that cannot be written is left as it is, with one warning", () => {
    const log = open();
    write(log, "a");
    globalThis.outOfSpace = (call) => call === "write";
    write(log, "b");
    write(log, "c");
    globalThis.outOfSpace = undefined;
    write(log, "d");
    log.close();
    expect(ids()).toEqual(["a"]);
    expect(warnings).toEqual([
      `this run's metrics stop here: cannot write ${folder}/master.jsonl: no space left on device`,
    ]);
  });

  test("that cannot be made is left out, with one warning", () => {
    writeFileSync(folder, "a file where the folder should be");
    const log = open();
    write(log, "a");
    log.close();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`cannot use ${folder}/master.jsonl`);
  });

  test("is not written through a symbolic link", () => {
    open().close();
    rmSync(`${folder}/master.jsonl`);
    symlinkSync(`${folder}/elsewhere`, `${folder}/master.jsonl`);
    const log = open();
    write(log, "a");
    log.close();
    expect(warnings).toHaveLength(1);
    expect(existsSync(`${folder}/elsewhere`)).toBe(false);
  });
});
