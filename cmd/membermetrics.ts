/** The metrics of a coordinator's process: what `cfn run` tells it on its command line, and what it makes of that. */
import type { Bus } from "../src/bus/contract.ts";
import type { Member } from "../src/coordinator/member.ts";
import { limits } from "../src/limits.ts";
import type { MetricsSettings } from "../src/metrics/log.ts";
import { MemberMeter } from "../src/metrics/membermeter.ts";
import type { Args, Values } from "./command.ts";
import { duration, path, whole } from "./values.ts";

export const memberMetricsArgs = {
  metrics: { type: "string", description: "the folder of its metrics", value: path },
  "metrics-interval": { type: "string", description: "between two samples", value: duration(1) },
  "metrics-bytes": { type: "string", description: "of a file", value: whole(1, Number.MAX_SAFE_INTEGER) },
  "metrics-files": { type: "string", description: "that are kept", value: whole(1, limits.metricsFilesMost) },
} as const satisfies Args;

/** As `memberMetricsArgs` reads them. */
export function memberMetricsWords({ intervalMs, fileBytes, files }: MetricsSettings, folder: string): string[] {
  const each = { "": folder, "-interval": `${intervalMs}ms`, "-bytes": fileBytes, "-files": files };
  return Object.entries(each).map(([name, value]) => `--metrics${name}=${value}`);
}

export function memberMeterOf(
  args: Values<typeof memberMetricsArgs> & { readonly id: string; readonly run: string },
  member: Member,
  bus: Bus,
): MemberMeter | undefined {
  if (args.metrics === undefined) return undefined;
  return new MemberMeter({
    folder: args.metrics,
    runId: args.run,
    coordinator: args.id,
    epoch: member.epoch,
    intervalMs: args["metrics-interval"] ?? limits.metricsIntervalMs,
    settings: {
      fileBytes: args["metrics-bytes"] ?? limits.metricsFileBytes,
      files: args["metrics-files"] ?? limits.metricsFiles,
    },
    active: () => member.load,
    lockWaits: () => bus.lockWaits(),
  });
}
