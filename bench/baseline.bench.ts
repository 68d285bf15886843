/**
 * A swarm against the bash MVP, rebuilt in `bench/baseline`. Both start one process per agent for `sh -c :`. The baseline's
 * figure is the coordination time that it reports (first task sent to last agent ended), without making its directories;
 * cfn's is the wall time of the whole `cfn run` process. So the ratio errs on the baseline's side.
 */
import { join } from "node:path";
import { inPlace, root, runSwarm } from "./support/cfn.ts";
import { program } from "./support/machine.ts";
import { inPairs } from "./support/pairs.ts";
import { succeed } from "./support/processes.ts";
import type { Bench, Check, Row } from "./support/result.ts";
import { median, ratios } from "./support/stats.ts";

interface BaselineReport {
  readonly coordination_time_ms: number;
  readonly expected: number;
  readonly delivered: number;
}

interface Variant {
  readonly topology: "flat" | "hybrid";
  /** Who sends the tasks to the workers. */
  readonly dispatch: "driver" | "teams";
  readonly text: string;
}

const variants: readonly Variant[] = [
  { topology: "hybrid", dispatch: "driver", text: "hybrid" },
  { topology: "flat", dispatch: "driver", text: "flat" },
  { topology: "hybrid", dispatch: "teams", text: "hybrid, its tasks handed out by 7 processes at once" },
];

export const baselineBench: Bench = {
  name: "baseline",
  claims: [
    "at least 60× faster than the bash baseline at 708 agents, with 100 % delivered against whatever it delivers",
  ],
  commands: [
    "cfn run --agents 708 --topology hybrid|flat --report r.json -- sh -c :",
    "bench/baseline/swarm.sh hybrid|flat 708 sh -c :",
    "DISPATCH=teams bench/baseline/swarm.sh hybrid 708 sh -c :",
  ],
  async run(sizes) {
    const rows: Row[] = [];
    const checks: Check[] = [];
    for (const tool of ["bash", "flock", "find"]) {
      if (program(tool) === undefined) return { rows, checks, left_out: [`the baseline: ${tool} is not installed`] };
    }
    const agents = sizes.agents[0] as number;
    await inPlace(async (place) => {
      for (const { topology, dispatch, text } of variants) {
        const what = `${agents} agents, bash baseline ${text}`;
        const delivered: number[] = [];
        const ours: number[] = [];
        const coordination: number[] = [];
        const bash = async () => {
          const env = { ...place.env, BASELINE_DIR: place.dir, DISPATCH: dispatch };
          const argv = [join(root, "bench/baseline/swarm.sh"), topology, `${agents}`, "sh", "-c", ":"];
          const report = JSON.parse((await succeed({ argv, env })).stdout) as BaselineReport;
          delivered.push((100 * report.delivered) / report.expected);
          return report.coordination_time_ms;
        };
        const cfn = async () => {
          const options = ["--agents", `${agents}`, "--topology", topology];
          const { ended, report } = await runSwarm(place, options, ["sh", "-c", ":"]);
          ours.push(100 * report.delivery.rate);
          coordination.push(report.coordination_time_ms);
          return ended.ms;
        };
        const paired = await inPairs(sizes.rounds, cfn, bash, true);
        const claimed = dispatch === "driver" ? { target: { least: 60 } as const } : {};
        rows.push(
          { what: `${what} / cfn run ${topology}`, unit: "×", samples: paired.ratios, ...claimed },
          {
            what: `${what} / cfn run ${topology}, coordination time of both`,
            unit: "×",
            samples: ratios(paired.other, coordination),
            ...claimed,
          },
          { what: `${what}: coordination time`, unit: "ms", samples: paired.other },
          { what: `${what}: delivered`, unit: "%", samples: delivered },
          { what: `${agents} agents, cfn run ${topology}, whole process`, unit: "ms", samples: paired.base },
        );
        checks.push({ what: `${what}: cfn delivered all`, ok: Math.min(...ours) === 100, seen: `${median(ours)} %` });
        // It loses messages by nature, but a baseline that loses half of them would be none.
        checks.push({
          what: `${what}: it works`,
          ok: Math.min(...delivered) >= 80,
          seen: `${Math.min(...delivered).toFixed(1)} % at least`,
        });
      }
    });
    return { rows, checks, left_out: [] };
  },
};
