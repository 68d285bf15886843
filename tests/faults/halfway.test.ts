/** A process that stands still at a point for as long as it takes the others to come to an end without it. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildBinary } from "../../scripts/build.ts";
import type { RunReport } from "../../src/coordinator/report.ts";
import { numbersIn } from "../support/killing.ts";
import { Place, stateOf, waitFor, within } from "./process.ts";
import { faultOf } from "./scene.ts";

test("no task reaches a coordinator behind the stop that it leaves for", async () => {
  const work = mkdtempSync(`${tmpdir()}/cfn-halfway-`);
  const place = new Place();
  try {
    await buildBinary(`${work}/cfn`, undefined, undefined, true);
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
    const run = place.start([`${work}/cfn`, ...args], { env, stdin });
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
    rmSync(work, { recursive: true, force: true });
  }
}, 60_000);
