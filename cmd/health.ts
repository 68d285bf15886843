/** Judges the agents of a run, or one of them: for people, scripts and container probes. */
import { healthReport } from "../src/observe/reports.ts";
import { healthText } from "../src/observe/text.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { busOption } from "./join.ts";
import { busAsked, lookOnce } from "./observed.ts";
import { print, printJson } from "./output.ts";
import { UnknownName } from "./unknown.ts";
import { agentId, runId } from "./values.ts";

const args = {
  id: { type: "positional", required: false, description: "one agent or coordinator (all)", value: agentId },
  run: { type: "string", valueHint: "RUN", description: "a run's id or its beginning", value: runId },
  bus: busOption,
  json: { type: "boolean", description: "one JSON object, schema cfn.health/1" },
} as const satisfies Args;

export const healthCommand: Command<typeof args> = {
  meta: { name: "health", description: "Say who is well: exit 0; 1 if somebody is unhealthy or dead" },
  args,
  example: "cfn agent ana -- cfn health ana",
  async run({ args, env }) {
    const busDir = busAsked(args, env);
    const view = await lookOnce(busDir);
    const report = healthReport(view, args.id);
    if (args.id !== undefined && report.agents.length + report.hosts.length === 0) {
      const ids = [...view.hosts, ...view.agents].map(({ id }) => id);
      throw new UnknownName("not_found", "agent", args.id, ids, "cfn health lists those there are");
    }
    if (args.json) printJson(report);
    else print(healthText(report));
    return report.health === "unhealthy" || report.health === "dead" ? exitStatus.notWell : exitStatus.success;
  },
};
