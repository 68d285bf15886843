/** The metrics of `cfn run`: its meter, and what its coordinators are told to measure of themselves. */
import { version } from "../package.json";
import type { Bus } from "../src/bus/contract.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import type { Shape } from "../src/coordinator/shape.ts";
import { metricsFolder } from "../src/metrics/events.ts";
import type { MetricsSettings } from "../src/metrics/log.ts";
import { RunMeter } from "../src/metrics/meter.ts";
import { memberMetricsWords } from "./membermetrics.ts";

interface MetricsRequest {
  readonly settings: MetricsSettings;
  /** The journal's: a run that has none has no metrics, and what is wrong has been said. */
  readonly folder: string | undefined;
  readonly runId: string;
  readonly shape: Shape;
  /** How many results a resumed run had. */
  readonly earlier: number;
  readonly onWarning: (text: string) => void;
}

export interface RunMetrics {
  /** For the command lines of coordinators. */
  readonly words: readonly string[];
  /** Begins to measure. Undefined where nothing is to be. */
  readonly open: (bus: Bus) => (RunObserver & RunMeter) | undefined;
  /** Writes what a run that broke off has emitted. */
  readonly close: () => void;
}

export function metricsOf({ settings, folder, runId, shape, earlier, onWarning }: MetricsRequest): RunMetrics {
  if (!settings.enabled || folder === undefined) return { words: [], open: () => undefined, close: () => undefined };
  const { topology, workers, teams } = shape;
  const about = { version, pid: process.pid, topology, coordinators: teams.length, workers, earlier };
  const metrics = metricsFolder(folder);
  let meter: RunMeter | undefined;
  return {
    words: memberMetricsWords(settings, metrics),
    open: (bus) => {
      const { intervalMs } = settings;
      const asks = { busBytes: () => bus.bytes(), busFigures: () => bus.stats() };
      meter = new RunMeter({ folder: metrics, runId, settings, intervalMs, about, ...asks, onWarning });
      return meter;
    },
    close: () => meter?.close(),
  };
}
