/** The alerts of a run: an observer that takes readings, and the ways that what it finds goes. */
import { binDirectory } from "../src/agent/bin.ts";
import { sharedVariables } from "../src/agent/variables.ts";
import { AlertCommand } from "../src/alerts/command.ts";
import type { AlertReadings, AlertSettings } from "../src/alerts/rules.ts";
import { type AlertEvent, AlertWatch } from "../src/alerts/watch.ts";
import type { Bus } from "../src/bus/contract.ts";
import type { Env } from "../src/bus/directory.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import type { RunReport } from "../src/coordinator/report.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { unixSeconds } from "../src/os/clock.ts";
import { endDescendants } from "../src/os/descendants.ts";
import { resourceLimit } from "../src/os/rlimits.ts";
import { openDescriptors } from "../src/os/usage.ts";
import { spared } from "./bug.ts";
import { say } from "./log.ts";

interface RunAlertsOptions {
  readonly bus: Bus;
  readonly runId: string;
  readonly env: Env;
  readonly settings: AlertSettings;
  /** Whom the judgement of health finds so at this moment. */
  readonly unhealthy?: () => NonNullable<AlertReadings["unhealthy"]>;
  /** Each alert that fires or clears, at once. */
  readonly onAlert?: (event: AlertEvent) => void;
}

export interface RunAlerts {
  readonly observer: RunObserver;
  /** What the report says of them. */
  readonly report: () => Pick<RunReport, "alerts" | "alerts_omitted">;
  /** To be awaited when the run has ended, however it did, while its bus is there: waits for the command. */
  readonly end: () => Promise<void>;
  /** Somebody is in a hurry: the command is ended at once. */
  readonly cut: () => void;
}

const onWarning = (text: string): void => void say("warn", text);

/** The command finds `cfn` and the run's bus, as an agent does; the run's id is what the guardian knows it by. */
function commandFor({ bus, runId, env, settings }: RunAlertsOptions): AlertCommand | undefined {
  const { command, commandTimeoutMs: timeoutMs } = settings;
  if (command === undefined) return undefined;
  const busDir = bus.info.dir;
  const shared = sharedVariables(env, { busDir, runId, lead: "", bin: binDirectory(busDir) });
  return new AlertCommand({ command, timeoutMs, variables: { ...shared, CFN_COORDINATOR_ID: undefined }, onWarning });
}

export function runAlerts(options: RunAlertsOptions): RunAlerts {
  const { bus, runId, settings, unhealthy, onAlert } = options;
  const command = commandFor(options);
  let said = 0;
  const tell = (event: AlertEvent): void => {
    const level = event.state === "fired" ? "warn" : "info";
    if (++said <= limits.alertsSaid) void say(level, `alert ${event.alert} ${event.state}: ${event.message}`);
    if (said === limits.alertsSaid) void say("info", "further alerts are in the metrics and the report alone");
    command?.submit(event);
    onAlert?.(event);
  };
  const watch = new AlertWatch({ runId, thresholds: settings, now: unixSeconds, onAlert: tell, onWarning });
  return {
    observer: {
      look: ({ elapsedMs }) =>
        watch.tick(elapsedMs, () => ({ elapsedMs, unhealthy: unhealthy?.() ?? [], ...onBus(bus) })),
      ended: ({ delivery, coordination_time_ms: elapsedMs }) => watch.look({ deliveryRate: delivery.rate, elapsedMs }),
      processes: () => (command === undefined || command.pid === 0 ? [] : [command.pid]),
    },
    end: async () => {
      await command?.end();
      // What it has left in sessions of its own goes with it.
      if (command !== undefined) endDescendants(limits.endWaitMs, spared);
    },
    report: () => ({ alerts: watch.records, alerts_omitted: watch.omitted }),
    cut: () => command?.cut(),
  };
}

/** Of the bus and of this process. */
function onBus(bus: Bus): Pick<AlertReadings, "inboxes" | "bus" | "descriptors"> {
  const descriptors = { open: openDescriptors(), limit: resourceLimit("descriptors").soft };
  try {
    const { deepest, refusedInboxFull, refusedBusFull } = bus.stats();
    const inboxes = { deepest: deepest === undefined ? [] : [deepest], refusals: refusedInboxFull };
    const space = { bytes: bus.bytes(), limitBytes: bus.info.busBytes, refusals: refusedBusFull };
    return { descriptors, inboxes, bus: space };
  } catch (error) {
    // A bus that is locked for so long, or gone, is others' to say.
    if (error instanceof CfnError) return { descriptors };
    throw error;
  }
}
