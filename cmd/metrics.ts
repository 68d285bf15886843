/** What a run's metrics say. */

import type { Env } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { MetricsAnalysis } from "../src/metrics/analysis.ts";
import { expositionText } from "../src/metrics/exposition.ts";
import { familiesOf } from "../src/metrics/families.ts";
import { metricsPage } from "../src/metrics/page.ts";
import { phases } from "../src/metrics/phases.ts";
import { readMetrics } from "../src/metrics/read.ts";
import { summaryOf } from "../src/metrics/summary.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { findMetrics, trendBelow } from "./metricsfiles.ts";
import { print, printJson } from "./output.ts";
import { path, whole } from "./values.ts";

const args = {
  run: {
    type: "positional",
    required: false,
    description: "its id or the beginning of it, or a metrics file (the newest run)",
    value: path,
  },
  last: {
    type: "string",
    valueHint: "N",
    description: `compare the last N runs (${limits.trendRuns})`,
    value: whole(0, limits.journalsMost),
  },
  phase: { type: "enum", options: [...phases], description: "what the histogram is of (run)" },
  json: { type: "boolean", description: "one JSON object" },
  prometheus: { type: "boolean", description: "Prometheus text format" },
} as const satisfies Args;

export const metricsCommand: Command<typeof args> = {
  meta: { name: "metrics", description: "Show what a run took: phases, teams, agents, resources, trend" },
  args,
  example: "cfn run --agents 20 -- sleep 0.1 && cfn metrics --phase queue",
  run({ args, env }) {
    if (args.json && args.prometheus) {
      throw new CfnError("usage", "--json and --prometheus: one output has one format", "leave one of them out");
    }
    const found = findMetrics(args.run, env);
    const analysis = new MetricsAnalysis();
    const reading = readMetrics(found.files, (event, writer) => analysis.add(event, writer));
    const trend = found.root === undefined ? [] : trendBelow(found.root, args.last ?? limits.trendRuns);
    const summary = summaryOf(analysis, reading, found.isAlive, trend);
    if (args.json) printJson(summary);
    else if (args.prometheus) print(expositionText(familiesOf(summary)));
    else print(metricsPage(summary, analysis, { phase: args.phase ?? "run", blocks: speaksUtf8(env) }));
    return exitStatus.success;
  },
};

/** As the C library chooses: the first of these that is set. */
const speaksUtf8 = (env: Env): boolean => /utf-?8/i.test(env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "");
