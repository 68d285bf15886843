/**
 * The endpoint while a swarm runs: how long a request takes that comes ten times a second, and what the run pays for it. While
 * all agents are there; and in pairs of whole runs that listen, one of them asked, which keep all cores busy with starting
 * processes most of the time.
 */
import { join } from "node:path";
import { inPlace, type Place, runSwarm } from "./support/cfn.ts";
import { inPairs } from "./support/pairs.ts";
import { Recorder } from "./support/recorder.ts";
import type { Bench, Row, Sizes } from "./support/result.ts";
import { quantile } from "./support/stats.ts";

const EVERY_MS = 100;
const TASKS_PER_AGENT = 4;
/** How long living agents are asked for, and what each may take to start until then. */
const ASKED_MS = 10_000;
const START_MS_MOST = 4;
const paths = ["/healthz", "/agents", "/status", "/metrics"] as const;
const shapes = ["flat", "hybrid"] as const;

/** Asks ten times a second until `over`, one path after the other; milliseconds of each answer. */
async function ask(socket: string, over: () => boolean): Promise<{ taken: number[]; refused: number }> {
  const taken: number[] = [];
  let refused = 0;
  const one = async (path: string): Promise<void> => {
    const begun = performance.now();
    try {
      const response = await fetch(`http://localhost${path}`, { unix: socket });
      await response.text();
      taken.push(performance.now() - begun);
    } catch {
      // Before the endpoint is there, and after it has gone with its run.
      refused++;
    }
  };
  const asked: Promise<void>[] = [];
  for (let n = 0; !over(); n++) {
    asked.push(one(paths[n % paths.length] as string));
    await Bun.sleep(EVERY_MS);
  }
  await Promise.all(asked);
  return { taken, refused };
}

/** One run whose agents all live for a few seconds: what is asked while fewer of them do does not count. */
async function living(place: Place, agents: number, shape: string, smoke: boolean, recorder: Recorder): Promise<Row> {
  const askedMs = smoke ? 500 : ASKED_MS;
  const socket = join(place.dir, "socket");
  const options = ["--agents", `${agents}`, "--topology", shape, "--listen", `unix:${socket}`];
  let over = false;
  const isFull = async (): Promise<boolean> => {
    try {
      const response = await fetch("http://localhost/status", { unix: socket });
      const { workers } = (await response.json()) as { readonly workers: { readonly running: number } };
      return workers.running === agents;
    } catch {
      return false; // Before the endpoint is there, and after it has gone with its run.
    }
  };
  const asking = (async () => {
    while (!over && !(await isFull())) await Bun.sleep(EVERY_MS);
    const end = performance.now() + askedMs;
    return ask(socket, () => over || performance.now() > end);
  })();
  const { report } = await runSwarm(place, options, ["sleep", `${(agents * START_MS_MOST + 2 * askedMs) / 1000}`]);
  over = true;
  const { taken, refused } = await asking;
  const what = `${agents} agents ${shape} that live`;
  recorder.check(`${what}: tasks`, `${report.tasks.completed}`, `${agents}`);
  recorder.check(`${what}: requests refused`, `${refused}`, "0");
  recorder.check(`${what}: requests were answered`, String(taken.length > 0), "true");
  const samples = [quantile(taken, 0.99)];
  return { what: `${what}: p99 of ${taken.length} requests`, unit: "ms", samples, target: { most: 50 } };
}

async function measure(place: Place, agents: number, shape: string, sizes: Sizes, recorder: Recorder): Promise<Row[]> {
  const socket = join(place.dir, "socket");
  const tasks = join(place.dir, "tasks");
  await Bun.write(tasks, Array.from({ length: agents * TASKS_PER_AGENT }, (_, n) => `${n}\n`).join(""));
  const options = ["--agents", `${agents}`, "--topology", shape, "--tasks", tasks, "--listen", `unix:${socket}`];
  const p99: number[] = [];
  const run = async (): Promise<number> => {
    const { ended, report } = await runSwarm(place, options, ["sh", "-c", "sleep 0.3", "{}"]);
    recorder.check(`${agents} agents ${shape}: tasks`, `${report.tasks.completed}`, `${agents * TASKS_PER_AGENT}`);
    return ended.ms;
  };
  const asked = async (): Promise<number> => {
    let over = false;
    const asking = ask(socket, () => over);
    const ms = await run().finally(() => {
      over = true;
    });
    const { taken } = await asking;
    recorder.check(`${agents} agents ${shape}: requests were answered`, String(taken.length > 0), "true");
    p99.push(quantile(taken, 0.99));
    return ms;
  };
  const paired = await inPairs(sizes.rounds, run, asked);
  const about = `${agents} agents ${shape} that start all the time`;
  return [
    { what: `${about}: p99 of requests`, unit: "ms", samples: p99.slice(1), target: { most: 50 }, judged_by: "max" },
    {
      what: `${about}: asked ten times a second / not asked`,
      unit: "×",
      samples: paired.ratios,
      target: { most: 1.05 },
    },
    { what: `${about}: cfn run --listen, whole process`, unit: "ms", samples: paired.base },
  ];
}

export const endpointBench: Bench = {
  name: "endpoint",
  claims: ["A request to the endpoint while 708 agents run: p99 under 50 ms, and ten a second do not slow the run."],
  commands: [
    "cfn run --agents N --topology flat|hybrid --listen unix:SOCKET -- sleep S   (that live)",
    "cfn run --agents N --topology flat|hybrid --tasks FILE --listen unix:SOCKET -- sh -c 'sleep 0.3' {}",
  ],
  run: (sizes) =>
    inPlace(async (place) => {
      const recorder = new Recorder();
      const rows: Row[] = [];
      const agents = sizes.agents[0] ?? 708;
      for (const shape of shapes) rows.push(await living(place, agents, shape, sizes.smoke, recorder));
      for (const shape of shapes) rows.push(...(await measure(place, agents, shape, sizes, recorder)));
      return { rows, checks: recorder.checks(), left_out: [] };
    }),
};
