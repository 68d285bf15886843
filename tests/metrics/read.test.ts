import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { CfnError } from "../../src/errors.ts";
import { metricsFiles, partsOf, readMetrics } from "../../src/metrics/read.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/cfn-metrics-`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const header = (next = 1, schema = "cfn.metrics/1"): string =>
  JSON.stringify({ schema, run_id: "r1", writer: "master", next });
const ready = (n: number): string => JSON.stringify({ t: n, n, event: "coordinator_ready", coordinator: `c${n}` });
const put = (name: string, lines: readonly string[], end = "\n"): void =>
  writeFileSync(`${folder}/${name}`, lines.join("\n") + end);

function read(files = metricsFiles(folder)) {
  const numbers: number[] = [];
  const reading = readMetrics(files, ({ n }) => void numbers.push(n));
  return { numbers, ...reading };
}

const failure = (work: () => unknown): CfnError => {
  try {
    work();
  } catch (error) {
    if (error instanceof CfnError) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

describe("reading metrics", () => {
  test("passes over a last line that was not written to its end, and says so", () => {
    put("master.jsonl", [header(), ready(1), ready(2), '{"t":3,"n":3,"eve'], "");
    const { numbers, faults, runId } = read();
    expect(numbers).toEqual([1, 2]);
    expect(faults).toMatchObject({ torn: 1, broken: 0, missing: 0 });
    expect(runId).toBe("r1");
  });

  test("names the lines that are no events, and goes on behind them", () => {
    const wrong = ["not JSON", "{}", '{"t":1,"n":"2","event":"coordinator_ready","coordinator":"c"}', "[]", "null"];
    put("master.jsonl", [header(), ready(1), ...wrong, ready(7)]);
    const { numbers, faults } = read();
    expect(numbers).toEqual([1, 7]);
    expect(faults).toMatchObject({ broken: 5, missing: 0 });
    expect(faults.places).toEqual([3, 4, 5, 6, 7].map((line) => ({ file: `${folder}/master.jsonl`, line })));
  });

  test("counts the events whose numbers are missing", () => {
    put("master.jsonl", [header(), ready(1), ready(5)]);
    put("c1.1.jsonl", [header(), ready(2)]);
    expect(read().faults.missing).toBe(4);
  });

  test("leaves out an event of a name that it does not know", () => {
    put("master.jsonl", [header(), ready(1), '{"t":1,"n":2,"event":"eclipse","darkness":1}', ready(3)]);
    expect(read()).toMatchObject({ numbers: [1, 3], faults: { broken: 0, missing: 0 } });
  });

  test("begins with the oldest part of a file, and takes no event twice", () => {
    put("master.jsonl.10", [header(1), ready(1)]);
    put("master.jsonl.2", [header(2), ready(2)]);
    put("master.jsonl.1", [header(3), ready(3), ready(4)]);
    put("master.jsonl", [header(4), ready(4), ready(5)]);
    expect(read()).toMatchObject({ numbers: [1, 2, 3, 4, 5], faults: { missing: 0, rotated_away: 0 } });
    expect(read([partsOf(`${folder}/master.jsonl`)]).numbers).toEqual([1, 2, 3, 4, 5]);
    expect(read([partsOf(`${folder}/master.jsonl.2`)]).numbers).toEqual([2]);
  });

  test("finds nothing in an empty file", () => {
    put("master.jsonl", [], "");
    expect(read()).toMatchObject({ numbers: [], runId: undefined, faults: { torn: 0 } });
  });

  test("refuses a file of another schema, one that is none, and one that is not there", () => {
    put("master.jsonl", [header(1, "cfn.metrics/2"), ready(1)]);
    expect(failure(read)).toMatchObject({ code: "malformed", message: expect.stringContaining('"cfn.metrics/2"') });
    put("master.jsonl", ["hello", ready(1)]);
    expect(failure(read)).toMatchObject({ code: "malformed", message: expect.stringContaining("no metrics file") });
    expect(failure(() => read([[`${folder}/none.jsonl`]]))).toMatchObject({ code: "not_found" });
  });
});
