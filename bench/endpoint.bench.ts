/**
 * The endpoint while a swarm runs: how long a request takes that comes ten times a second, and what the run pays for it. Pairs of
 * whole runs that listen, one of them asked. The run keeps both cores busy with starting processes most of the time.
 */
import { join } from "node:path";
import { inPlace, type Place, runSwarm } from "./support/cfn.ts";
import { inPairs } from "./support/pairs.ts";
import { Recorder } from "./support/recorder.ts";
import type { Bench, Row, Sizes } from "./support/result.ts";
import { quantile } from "./support/stats.ts";

const EVERY_MS = 100;
const TASKS_PER_AGENT = 4;
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
  const about = `${agents} agents ${shape}`;
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
  commands: ["cfn run --agents N --topology flat|hybrid --tasks FILE --listen unix:SOCKET -- sh -c 'sleep 0.3' {}"],
  run: (sizes) =>
    inPlace(async (place) => {
      const recorder = new Recorder();
      const rows: Row[] = [];
      const agents = sizes.agents[0] ?? 708;
      for (const shape of shapes) rows.push(...(await measure(place, agents, shape, sizes, recorder)));
      return { rows, checks: recorder.checks(), left_out: [] };
    }),
};
