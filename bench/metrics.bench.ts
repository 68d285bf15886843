/**
 * What metrics cost: the same swarm with them and without, in pairs. `sh -c :` does nothing, so all that is timed is the
 * coordination, and with it all that measures it. The claim is on the ratio of the medians; the pairs' own ratios show the noise. As
 * that is many times the claim, it is also held against what metrics count as their own CPU time (`metrics_ms` of their last events).
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inPlace, type Place, runSwarm } from "./support/cfn.ts";
import { inPairs } from "./support/pairs.ts";
import type { Bench, Check, Row, Sizes } from "./support/result.ts";
import { median } from "./support/stats.ts";

const nothing = ["sh", "-c", ":"] as const;
const topologies = ["flat", "hybrid"] as const;

/** Where the journals of this place are. */
const runs = (place: Place): string => join(place.env["XDG_STATE_HOME"] as string, "cfn/runs");

interface Written {
  readonly attempts: number;
  /** CPU time that all of the run's processes say their metrics took. */
  readonly costMs: number;
}

/** What the metrics of the one run there is hold; undefined where it has none. Removes its journal. */
function takeWritten(place: Place): Written | undefined {
  const folder = join(runs(place), readdirSync(runs(place))[0] as string, "metrics");
  const files = existsSync(folder) ? readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8")) : [];
  rmSync(runs(place), { recursive: true });
  if (files.length === 0) return undefined;
  const lines = files.map((text) => text.trimEnd().split("\n"));
  const costs = lines.map((of) => JSON.parse(of.at(-1) as string).process.metrics_ms as number);
  const attempts = lines.flat().filter((line) => line.includes('"event":"attempt"')).length;
  return { attempts, costMs: costs.reduce((sum, ms) => sum + ms, 0) };
}

/** Of the mean of these. */
function standardError(samples: readonly number[]): number {
  const mean = samples.reduce((sum, one) => sum + one, 0) / samples.length;
  const variance = samples.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, samples.length - 1);
  return Math.sqrt(variance / samples.length);
}

async function compare(place: Place, agents: number, topology: string, sizes: Sizes): Promise<[Row[], Check[]]> {
  const options = ["--agents", `${agents}`, "--topology", topology];
  let wrong = 0;
  const shares: number[] = [];
  const swarm = (enabled: boolean) => async () => {
    const measured = { ...place, env: { ...place.env, CFN_METRICS_ENABLED: String(enabled) } };
    const { ended, report } = await runSwarm(measured, options, nothing);
    const written = takeWritten(place);
    if (report.tasks.completed !== agents || written?.attempts !== (enabled ? agents : undefined)) wrong++;
    if (written !== undefined) shares.push((written.costMs / ended.cpuMs) * 100);
    return ended.ms;
  };
  const paired = await inPairs(sizes.rounds * 3, swarm(false), swarm(true));
  const cost = (median(paired.other) / median(paired.base) - 1) * 100;
  const what = `${agents} agents ${topology}`;
  const unsure =
    (standardError(paired.other.map((ms, n) => ms - (paired.base[n] as number))) / median(paired.base)) * 100;
  const rows: Row[] = [
    { what: `${what}: CPU time of metrics, of the whole run's`, unit: "%", samples: shares, target: { most: 0.5 } },
    { what: `${what}: what metrics add to the median`, unit: "%", samples: [cost], target: { most: 0.5 } },
    { what: `${what}: standard error of the mean difference`, unit: "%", samples: [unsure] },
    { what: `${what}: with metrics / without, pair by pair`, unit: "×", samples: paired.ratios },
    { what: `${what} with metrics`, unit: "ms", samples: paired.other },
    { what: `${what} without`, unit: "ms", samples: paired.base },
  ];
  const seen = `${wrong} of ${2 * sizes.rounds * 3 + 2} runs were otherwise`;
  const check = `${what}: an attempt is written for each agent, and nothing where metrics are off`;
  return [rows, [{ what: check, ok: wrong === 0, seen }]];
}

export const metricsBench: Bench = {
  name: "metrics",
  claims: ["metrics add less than 0.5 % to a run of 708 agents, flat and hybrid"],
  commands: ["CFN_METRICS_ENABLED=true|false cfn run --agents N --topology flat|hybrid --report r.json -- sh -c :"],
  async run(sizes) {
    const rows: Row[] = [];
    const checks: Check[] = [];
    await inPlace(async (place) => {
      for (const topology of topologies) {
        const [compared, checked] = await compare(place, sizes.agents[0] as number, topology, sizes);
        rows.push(...compared);
        checks.push(...checked);
      }
    });
    return { rows, checks, left_out: [] };
  },
};
