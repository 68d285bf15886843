/** A process that stands still at a point for as long as it takes the others to come to an end without it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildBinary } from "../../scripts/build.ts";
import type { RunReport } from "../../src/coordinator/report.ts";
import { cfnBinary } from "../support/binary.ts";
import { numbersIn } from "../support/killing.ts";
import { Place, stateOf, waitFor, within } from "./process.ts";
import { faultOf } from "./scene.ts";

const work = mkdtempSync(`${tmpdir()}/cfn-halfway-`);
const faultBinary = `${work}/cfn`;

beforeAll(async () => {
  await buildBinary(faultBinary, undefined, undefined, true);
}, 60_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

test("no task reaches a coordinator behind the stop that it leaves for", async () => {
  const place = new Place();
  try {
    const [log, report, mark] = ["log", "report.json", "mark"].map((name) => `${place.files}/${name}`) as [
      string,
      string,
      string,
    ];
    const script = `echo 1 >>${log}; until [ -e ${log}.go ]; do sleep 0.05; done; exit 1`;
    const stdin = Array.from({ length: 40 }, (_, n) => `${n}\n`).join("");
    const args = [
      "run",
      "--coordinators",
      "2",
      "--agents",
      "4",
      "--retries",
      "3",
      "--report",
      report,
      "--tasks",
      "-",
      "--",
      "sh",
      "-c",
      script,
      "-",
    ];
    const env = faultOf("run/hybrid.stopping:stop", mark);
    const run = place.start([faultBinary, ...args], { env, stdin });
    await waitFor("all agents", () => numbersIn(log).length >= 4);
    const agents = async (): Promise<string> => (await place.cfn(["agents", "--json"])).stdout;
    // What comes while it is stopped it reads at once: failures, whose second attempts go out, and the stop.
    run.signal("SIGSTOP");
    writeFileSync(`${log}.go`, "");
    for (let came = false; !came; ) came = /"id":"master".*?"control":[1-9]/.test(await agents());
    expect((await place.cfn(["stop", "--no-wait"])).code).toBe(0);
    run.signal("SIGCONT");
    await waitFor("the stop is said", () => existsSync(mark) && stateOf(run.pid) === "T");
    for (let left = false; !left; ) left = !(await agents()).includes('"role":"coordinator"');
    run.signal("SIGCONT");
    expect((await within(run)).code).toBe(143);
    const { tasks, delivery } = JSON.parse(readFileSync(report, "utf8")) as RunReport;
    expect(tasks.failed + tasks.cancelled).toBe(tasks.total);
    expect(delivery).toMatchObject({ rate: 1, duplicates: 0, lost: [] });
  } finally {
    await place.clear();
  }
}, 60_000);

test("who leaves the default bus takes away no other that has come to stand there meanwhile", async () => {
  const place = new Place();
  try {
    const mark = `${place.files}/mark`;
    const home = `${place.base}/default`;
    const state = (id: string): string => `${home}/agents/${id}/state`;
    const first = place.start([cfnBinary, "agent", "one", "--", "cat"], { stdin: "held" });
    await waitFor("the bus", () => existsSync(state("one")));
    const env = faultOf("agent/home.unclaimed:stop", mark);
    const leaving = place.start([faultBinary, "agent", "two", "--", "true"], { env });
    await waitFor("it has given its claim up", () => existsSync(mark) && stateOf(leaving.pid) === "T");
    first.closeInput();
    expect((await within(first)).code).toBe(0);
    expect(existsSync(home)).toBe(false);
    const next = place.start([cfnBinary, "agent", "three", "--", "cat"], { stdin: "held" });
    await waitFor("the next bus", () => existsSync(state("three")));
    leaving.signal("SIGCONT");
    expect((await within(leaving)).code).toBe(0);
    expect(existsSync(state("three"))).toBe(true);
    next.closeInput();
    expect((await within(next)).code).toBe(0);
    expect(place.left()).toEqual([]);
  } finally {
    await place.clear();
  }
}, 60_000);
