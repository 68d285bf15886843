/** Who looks on at a run, as its options and settings have it. */
import type { Bus } from "../src/bus/contract.ts";
import type { Settings } from "../src/config/schema.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import type { Shape } from "../src/coordinator/shape.ts";
import { runBoard } from "./runboard.ts";
import type { RunMetrics } from "./runmetrics.ts";
import { pacing } from "./runpacing.ts";
import type { ProgressLine } from "./runprogress.ts";

interface Looked {
  readonly bus: Bus;
  readonly busDir: string;
  readonly shape: Shape;
  /** Without a task list. */
  readonly oneTaskEach: boolean;
  readonly settings: Settings;
  readonly progress: ProgressLine | undefined;
  readonly metrics: RunMetrics;
}

export function observersOf(looked: Looked): RunObserver[] {
  const { bus, busDir, shape, oneTaskEach, settings, progress, metrics } = looked;
  const board = runBoard(busDir, shape, oneTaskEach ? shape.workers : undefined, settings.health);
  const meter = metrics.open(bus);
  return [progress?.observer, board, meter, ...pacing(bus, settings.bus.senderRate)].filter(
    (each) => each !== undefined,
  );
}
