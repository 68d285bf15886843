/**
 * Runs benchmarks and keeps their raw samples: `npm run bench -- [--smoke] [options] [name…]`.
 *
 *   --smoke          tiny sizes; shows that every benchmark works, measures nothing
 *   --rounds N       pairs or repetitions (default 10; 3 for the slow baseline)
 *   --agents N,M     swarm sizes (default 708,5000)
 *   --messages N     messages per round of the bus (default 50000)
 *   --lines N        task lines of the stream (default 100000)
 *   --results DIR    default bench/results
 *
 * Exit status 1 if a benchmark fails or a check of its own result does. A missed target is printed, and is no failure.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { backpressureBench } from "./backpressure.bench.ts";
import { baselineBench } from "./baseline.bench.ts";
import { busBench } from "./bus.bench.ts";
import { endpointBench } from "./endpoint.bench.ts";
import { metricsBench } from "./metrics.bench.ts";
import { sendBench, startBench } from "./start.bench.ts";
import { streamBench } from "./stream.bench.ts";
import { machine, stolenSince, ticks } from "./support/machine.ts";
import { runPeer } from "./support/peer.ts";
import { runPressurePeer } from "./support/pressurePeer.ts";
import {
  type Bench,
  meets,
  type Result,
  rowText,
  type Sizes,
  stateText,
  targetText,
  writeResult,
} from "./support/result.ts";
import { swarmBench } from "./swarm.bench.ts";

const benches: readonly Bench[] = [
  swarmBench,
  baselineBench,
  busBench,
  startBench,
  sendBench,
  streamBench,
  backpressureBench,
  endpointBench,
  metricsBench,
];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function describe(result: Result): void {
  const { machine: on } = result;
  say(`\n${result.name}${result.sizes.smoke ? " (smoke: these figures mean nothing)" : ""}`);
  for (const claim of result.claims) say(`  claim    ${claim}`);
  for (const command of result.commands) say(`  command  ${command}`);
  say(`  machine  ${on.cpu}, ${on.cores} cores, Linux ${on.kernel}, Bun ${on.bun}`);
  say(`  state    ${stateText(result)}`);
  for (const row of result.rows) {
    const met = meets(row);
    const verdict = met === undefined ? "" : `   target ${targetText(row)}: ${met ? "met" : "MISSED"}`;
    say(`  ${rowText(row).padEnd(36)} ${row.what}${verdict}`);
  }
  for (const check of result.checks) say(`  ${check.ok ? "checked" : "WRONG  "}  ${check.what}: ${check.seen}`);
  for (const absent of result.left_out) say(`  left out ${absent}`);
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      smoke: { type: "boolean", default: false },
      rounds: { type: "string" },
      agents: { type: "string" },
      messages: { type: "string" },
      lines: { type: "string" },
      results: { type: "string", default: resolve(import.meta.dir, "results") },
    },
  });
  const { smoke } = values;
  const count = (text: string | undefined, small: number, usual: number): number => {
    const value = text === undefined ? (smoke ? small : usual) : Number(text);
    if (Number.isSafeInteger(value) && value > 0) return value;
    throw new Error(`"${text}" is not a positive whole number`);
  };
  const agents = values.agents?.split(",").map((each) => count(each, 0, 0)) ?? (smoke ? [12] : [708, 5000]);
  const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    throw new Error(`no benchmark "${unknown}"; there are ${benches.map((bench) => bench.name).join(", ")}`);
  }
  let wrong = 0;
  for (const bench of benches) {
    if (positionals.length > 0 && !positionals.includes(bench.name)) continue;
    const sizes: Sizes = {
      smoke,
      rounds: count(values.rounds, 1, bench === baselineBench ? 3 : 10),
      agents,
      messages: count(values.messages, 500, 50_000),
      lines: count(values.lines, 500, 100_000),
    };
    const about = { name: bench.name, claims: bench.claims, commands: bench.commands };
    const before = { taken_at: new Date().toISOString(), sizes, machine: machine() };
    const then = ticks();
    const outcome = await bench.run(sizes);
    const result: Result = { schema: "cfn.bench/1", ...about, ...before, stolen: stolenSince(then), ...outcome };
    describe(result);
    writeResult(values.results, result);
    wrong += result.checks.filter((check) => !check.ok).length;
  }
  return wrong === 0 ? 0 : 1;
}

if (process.argv[2] === "peer") runPeer(process.argv.slice(3));
else if (process.argv[2] === "pressure-peer") await runPressurePeer(process.argv.slice(3));
else process.exitCode = await main(process.argv.slice(2));
