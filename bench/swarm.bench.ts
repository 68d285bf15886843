/**
 * A swarm against the bare spawn loop over the same commands: the most that any coordinator of processes can reach.
 * Pairs of whole processes, wall time; `sh -c :` does nothing, so all that is timed is the coordination.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bytesBelow, cfnBinary, inPlace, type Place, runSwarm } from "./support/cfn.ts";
import { buildFloor } from "./support/floor.ts";
import { program } from "./support/machine.ts";
import { inPairs } from "./support/pairs.ts";
import { pssSampler, succeed } from "./support/processes.ts";
import type { Bench, Check, Row, Sizes } from "./support/result.ts";

const MiB = 1024 * 1024;
const nothing = ["sh", "-c", ":"] as const;
/** By name, the options; hybrid has a coordinator per core unless it is told otherwise. */
const shapes = {
  flat: ["--topology", "flat"],
  hybrid: ["--topology", "hybrid"],
  "hybrid of 7 coordinators": ["--coordinators", "7"],
} as const;
type Shape = keyof typeof shapes;
const allShapes = Object.keys(shapes) as Shape[];

const lines = (count: number): Uint8Array =>
  new TextEncoder().encode(Array.from({ length: count }, (_, i) => `${i}\n`).join(""));

/** Peak memory of all cfn processes and peak bytes on the bus while `agents` of them are alive at the same time. */
async function peaks(place: Place, agents: number, shape: Shape, seconds: number): Promise<[number, number]> {
  const argv = [cfnBinary(), "run", "--agents", `${agents}`, ...shapes[shape], "--", "sleep", `${seconds}`];
  const child = Bun.spawn(argv, { env: place.env, stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const sample = pssSampler(child.pid, cfnBinary());
  let pss = 0;
  let bus = 0;
  let running = true;
  const ended = child.exited.finally(() => {
    running = false;
  });
  while (running) {
    pss = Math.max(pss, sample().bytes);
    bus = Math.max(bus, bytesBelow(place.base));
    await Bun.sleep(20);
  }
  if ((await ended) !== 0) throw new Error(`${argv.join(" ")} exited with ${await ended}`);
  return [pss / MiB, bus / MiB];
}

async function compareWithFloor(place: Place, floor: string, agents: number, sizes: Sizes): Promise<[Row[], Check[]]> {
  const rows: Row[] = [];
  const checks: Check[] = [];
  const spawnLoop = async () => (await succeed({ argv: [floor, `${agents}`, "--", ...nothing] })).ms;
  for (const shape of allShapes) {
    const options = ["--agents", `${agents}`, ...shapes[shape]];
    const coordination: number[] = []; // the first is that of the warm-up
    let worst = 1;
    let counted = 0;
    const swarm = async () => {
      const { ended, report } = await runSwarm(place, options, nothing);
      coordination.push(report.coordination_time_ms);
      worst = Math.min(worst, report.delivery.rate);
      if (report.tasks.completed === agents && report.delivery.duplicates === 0) counted++;
      return ended.ms;
    };
    const paired = await inPairs(sizes.rounds, spawnLoop, swarm);
    const runs = sizes.rounds + 1;
    rows.push(
      {
        what: `${agents} agents ${shape} / bare spawn loop`,
        unit: "×",
        samples: paired.ratios,
        target: { most: 1.5 },
      },
      { what: `${agents} agents ${shape}: cfn run, whole process`, unit: "ms", samples: paired.other },
      {
        what: `${agents} agents ${shape}: coordination time in its report`,
        unit: "ms",
        samples: coordination.slice(1),
      },
      { what: `${agents} × sh -c : by the bare spawn loop, paired with ${shape}`, unit: "ms", samples: paired.base },
    );
    checks.push({
      what: `${agents} agents ${shape}: every run delivered all, once`,
      ok: worst === 1 && counted === runs,
      seen: `lowest rate ${worst}, ${counted} of ${runs} runs complete and without duplicates`,
    });
  }
  return [rows, checks];
}

async function everyAgentSpeaks(place: Place, agents: number, shape: Shape): Promise<Check> {
  const options = ["--agents", `${agents}`, ...shapes[shape]];
  const { ended } = await runSwarm(place, options, ["sh", "-c", 'echo "$CFN_AGENT_ID"']);
  const ids = ended.stdout.split("\n").filter((line) => line !== "");
  const different = new Set(ids).size;
  return {
    what: `${agents} agents ${shape}: one line from each`,
    ok: ids.length === agents && different === agents,
    seen: `${ids.length} lines, ${different} different ids`,
  };
}

interface Other {
  readonly what: string;
  readonly argv: readonly string[];
  readonly stdin?: Uint8Array;
}

/** Other ways to start the same processes, the same number at once. */
function otherWays(place: Place, agents: number, floor: string | undefined): { ways: Other[]; left_out: string[] } {
  const found: Other[] = [
    { what: "xargs -P", argv: ["xargs", "-P", `${agents}`, "-n", "1", ...nothing], stdin: lines(agents) },
    {
      what: "GNU parallel",
      argv: ["parallel", "--will-cite", "-j", `${agents}`, "-n0", ...nothing],
      stdin: lines(agents),
    },
  ];
  if (floor !== undefined) {
    const out = join(place.dir, "out");
    mkdirSync(out);
    const argv = [floor, "-o", out, `${agents}`, "--", ...nothing];
    found.push({ what: "bare spawn loop, an output file each", argv });
  }
  const ways = found.filter(({ argv }) => program(argv[0] as string) !== undefined);
  const absent = found.filter((each) => !ways.includes(each));
  return { ways, left_out: absent.map(({ what, argv }) => `${what}: ${argv[0]} is not installed`) };
}

async function compareWithOthers(place: Place, ways: readonly Other[], agents: number, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  const options = ["--agents", `${agents}`, "--topology", "hybrid"];
  for (const way of ways) {
    const other = async () => (await succeed(way)).ms;
    const paired = await inPairs(rounds, other, async () => (await runSwarm(place, options, nothing)).ended.ms);
    rows.push(
      { what: `${agents} agents hybrid / ${way.what}`, unit: "×", samples: paired.ratios },
      { what: `${agents} × sh -c : by ${way.what}`, unit: "ms", samples: paired.base },
    );
  }
  return rows;
}

/** Memory and bus while all agents are alive. */
async function footprint(place: Place, agents: number, sizes: Sizes): Promise<{ rows: Row[]; checks: Check[] }> {
  const rows: Row[] = [];
  const checks: Check[] = [];
  for (const shape of allShapes) {
    const pss: number[] = [];
    const bus: number[] = [];
    for (let round = 0; round < Math.min(sizes.rounds, 3); round++) {
      const [peakPss, peakBus] = await peaks(place, agents, shape, sizes.smoke ? 0.3 : 2);
      pss.push(peakPss);
      bus.push(peakBus);
    }
    const alive = `${agents} living agents ${shape}`;
    const memory = { samples: pss, target: { most: 150e6 / MiB }, judged_by: "max" } as const;
    const files = { samples: bus, target: { most: 16 }, judged_by: "max" } as const;
    rows.push(
      { what: `${alive}: PSS of all cfn processes`, unit: "MiB", ...memory },
      { what: `${alive}: bytes on /dev/shm`, unit: "MiB", ...files },
    );
    const seen = `${Math.min(...pss).toFixed(1)} MiB and ${Math.min(...bus).toFixed(1)} MiB at least`;
    checks.push({ what: `${alive}: memory and bus were seen`, ok: Math.min(...pss, ...bus) > 0, seen });
  }
  return { rows, checks };
}

export const swarmBench: Bench = {
  name: "swarm",
  claims: [
    "708 and 5,000 agents, flat and hybrid, in at most 1.5× the wall time of a bare spawn loop over the same commands",
    "708 agents alive at once: at most 150 MB of PSS over all cfn processes, at most 16 MiB of /dev/shm",
  ],
  commands: [
    "cfn run --agents N --topology flat|hybrid --report r.json -- sh -c :   (hybrid of 7: --coordinators 7)",
    "floor N -- sh -c :",
    "seq N | xargs -P N -n 1 sh -c :",
    "seq N | parallel -j N -n0 sh -c :",
    "cfn run --agents N --topology flat|hybrid -- sleep 2   (memory and bus)",
  ],
  async run(sizes) {
    const floor = await buildFloor();
    const rows: Row[] = [];
    const checks: Check[] = [];
    const left_out = floor === undefined ? ["the bare spawn loop: no C compiler (cc)"] : [];
    await inPlace(async (place) => {
      for (const agents of floor === undefined ? [] : sizes.agents) {
        const [compared, checked] = await compareWithFloor(place, floor as string, agents, sizes);
        rows.push(...compared);
        checks.push(...checked);
      }
      const agents = sizes.agents[0] as number;
      for (const shape of allShapes) checks.push(await everyAgentSpeaks(place, agents, shape));
      const others = otherWays(place, agents, floor);
      left_out.push(...others.left_out);
      rows.push(...(await compareWithOthers(place, others.ways, agents, Math.min(sizes.rounds, 5))));
      const held = await footprint(place, agents, sizes);
      rows.push(...held.rows);
      checks.push(...held.checks);
    });
    return { rows, checks, left_out };
  },
};
