/** Settings that are right by themselves and cannot hold together. Pure. */
import { limits } from "../limits.ts";
import { formatDuration } from "../message/quantity.ts";
import { isLoopback } from "../os/address.ts";
import type { SettingKey, Settings } from "./schema.ts";

export interface Contradiction {
  /** Of those that somebody has set, at least one. */
  readonly keys: readonly SettingKey[];
  readonly why: string;
  readonly remedy: string;
}

/** `isSet`: whether somebody has set it, as opposed to its default. */
export function contradictions(settings: Settings, isSet: (key: SettingKey) => boolean): Contradiction[] {
  return [...ofShape(settings), ...ofBus(settings, isSet), ...ofHealth(settings), ...ofListening(settings)];
}

function ofShape({ run }: Settings): Contradiction[] {
  const { agents, topology, coordinators, workersPerCoordinator: perTeam } = run;
  const shaping: SettingKey[] = [];
  if (coordinators !== undefined) shaping.push("run.coordinators");
  if (perTeam !== undefined) shaping.push("run.workers_per_coordinator");
  if (topology === "flat" && shaping.length > 0) {
    const remedy = "use topology hybrid, or leave the number of coordinators and their workers out";
    return [{ keys: ["run.topology", ...shaping], why: "a flat swarm has one coordinator", remedy }];
  }
  if (agents === undefined) {
    const product = (coordinators ?? limits.coordinatorsDefault) * (perTeam ?? limits.workersPerCoordinatorDefault);
    if (product <= limits.agentsMax) return [];
    const why = `that makes ${product} agents: at most ${limits.agentsMax} may be alive at once`;
    return [{ keys: shaping, why, remedy: "ask for fewer" }];
  }
  if (perTeam === undefined) return [];
  const keys: SettingKey[] = ["run.agents", ...shaping];
  if (coordinators !== undefined && agents > coordinators * perTeam) {
    const why = `${agents} agents do not fit ${coordinators} coordinators with ${perTeam} workers each`;
    return [{ keys, why, remedy: "raise the coordinators or their workers, or leave one of the three out" }];
  }
  const needed = Math.ceil(agents / perTeam);
  if (coordinators !== undefined || needed <= limits.coordinatorsMax) return [];
  const why = `that makes ${needed} coordinators: at most ${limits.coordinatorsMax} may lead`;
  return [{ keys, why, remedy: "raise the workers of each coordinator" }];
}

function ofBus({ bus }: Settings, isSet: (key: SettingKey) => boolean): Contradiction[] {
  // Beside a default either may be chosen freely: a small bus has smaller inboxes.
  if (!isSet("bus.bytes") || !isSet("bus.inbox_bytes") || bus.inboxBytes <= bus.busBytes) return [];
  const why = "an inbox cannot hold more than its bus";
  return [{ keys: ["bus.inbox_bytes", "bus.bytes"], why, remedy: "raise bus.bytes or lower bus.inbox_bytes" }];
}

function ofHealth({ health }: Settings): Contradiction[] {
  const { intervalMs, stoppedAfterMs, stalledAfterMs } = health;
  const found: Contradiction[] = [];
  if (stoppedAfterMs < intervalMs) {
    const why = "nobody looks that often";
    const remedy = `at least ${formatDuration(intervalMs)}, or a shorter health.interval`;
    found.push({ keys: ["health.stopped_after", "health.interval"], why, remedy });
  }
  if (stalledAfterMs < stoppedAfterMs) {
    const why = "what is stopped also stalls, so it would be called stalled first";
    const remedy = `at least ${formatDuration(stoppedAfterMs)}, or a shorter health.stopped_after`;
    found.push({ keys: ["health.stalled_after", "health.stopped_after"], why, remedy });
  }
  return found;
}

function ofListening({ run, serve }: Settings): Contradiction[] {
  const wanted = [
    ["run.listen", run.listen],
    ["serve.listen", serve.listen],
  ] as const;
  return wanted.flatMap(([key, address]): Contradiction[] => {
    if (address === undefined || address.kind === "unix" || isLoopback(address.host)) return [];
    const missing: SettingKey[] = [];
    if (!serve.allowRemote) missing.push("serve.allow_remote");
    if (serve.token === undefined) missing.push("serve.token");
    if (missing.length === 0) return [];
    const why = "other machines reach that address";
    return [
      {
        keys: [key, ...missing],
        why,
        remedy: "set serve.allow_remote = true and a serve.token, or listen on 127.0.0.1",
      },
    ];
  });
}
