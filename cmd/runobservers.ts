/** Who looks on at a run, as its options and settings have it. */
import type { Bus } from "../src/bus/contract.ts";
import type { Env } from "../src/bus/directory.ts";
import type { Settings } from "../src/config/schema.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import type { Shape } from "../src/coordinator/shape.ts";
import { CfnError } from "../src/errors.ts";
import { Observer } from "../src/observe/observer.ts";
import { type RunAlerts, runAlerts } from "./runalerts.ts";
import { runBoard } from "./runboard.ts";
import type { RunMetrics } from "./runmetrics.ts";
import { pacing } from "./runpacing.ts";
import type { ProgressLine } from "./runprogress.ts";

interface Looked {
  readonly bus: Bus;
  readonly busDir: string;
  readonly runId: string;
  readonly shape: Shape;
  /** Without a task list. */
  readonly oneTaskEach: boolean;
  readonly env: Env;
  readonly settings: Settings;
  readonly progress: ProgressLine | undefined;
  readonly metrics: Pick<RunMetrics, "open">;
}

interface Lookers {
  readonly observers: readonly RunObserver[];
  readonly alerts: RunAlerts;
}

export function observersOf(looked: Looked): Lookers {
  const { bus, busDir, runId, shape, oneTaskEach, env, settings, progress, metrics } = looked;
  const board = runBoard(busDir, shape, oneTaskEach ? shape.workers : undefined, settings.health);
  const meter = metrics.open(bus);
  const alerts = runAlerts({
    bus,
    runId,
    env,
    settings: settings.alert,
    ...(settings.alert.unhealthy ? { unhealthy: unhealthyOn(busDir) } : {}),
    onAlert: ({ alert, subject, state, value, limit }) => meter?.alert({ alert, subject, state, value, limit }),
  });
  const all = [alerts.observer, progress?.observer, board, meter, ...pacing(bus, settings.bus.senderRate)];
  return { observers: all.filter((each) => each !== undefined), alerts };
}

/** Who is unhealthy, as the hosts of the agents have seen it: a look reads shared memory. */
function unhealthyOn(busDir: string): () => { id: string; reason: string }[] {
  let observer: Observer | undefined;
  return () => {
    try {
      observer ??= new Observer(busDir);
      const agents = observer.look(false)?.agents ?? [];
      return agents
        .filter(({ health }) => health.state === "unhealthy")
        .map(({ id, health }) => ({ id, reason: health.reason }));
    } catch (error) {
      // A bus that is locked for so long, or gone, is others' to say.
      if (error instanceof CfnError) return [];
      throw error;
    }
  };
}
