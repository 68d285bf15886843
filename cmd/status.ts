/** How far a living run is. */
import { statusReport } from "../src/observe/reports.ts";
import { statusText } from "../src/observe/text.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { busOption } from "./join.ts";
import { busAsked, lookOnce, runArgument } from "./observed.ts";
import { print, printJson } from "./output.ts";

const args = {
  run: runArgument,
  bus: busOption,
  json: { type: "boolean", description: "one JSON object, schema cfn.status/1" },
} as const satisfies Args;

export const statusCommand: Command<typeof args> = {
  meta: { name: "status", description: "Show how far a run is" },
  args,
  example: "cfn run --agents 2 -- cfn status",
  async run({ args, env }) {
    const report = statusReport(await lookOnce(busAsked(args, env)));
    if (args.json) printJson(report);
    else print(statusText(report));
    return exitStatus.success;
  },
};
