/** What a run will be, decided before anything of it exists. */
import { busBase } from "../src/bus/directory.ts";
import { sweepDeadBuses } from "../src/bus/removal.ts";
import type { Gate } from "../src/coordinator/gate.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { planShape, type Shape } from "../src/coordinator/shape.ts";
import { commandForEach, type TaskSource } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { coreCount } from "../src/os/usage.ts";
import { gateOf } from "./rungate.ts";
import type { Undertaking } from "./undertaking.ts";

interface RunPlan {
  readonly shape: Shape;
  readonly gate: Gate | undefined;
  readonly source: TaskSource;
  /** The directory of buses. */
  readonly base: string;
}

/** Sweeps what dead runs left. Throws CfnError where the run cannot be. */
export async function planRun(
  { args, rest, env, copy, settings }: Undertaking,
  onWarning: (text: string) => void,
): Promise<RunPlan> {
  const shape = planShape({ ...settings.run, taskList: args.tasks !== undefined, cores: coreCount() });
  const gate = gateOf(settings.run, onWarning);
  const { dir: base, warning } = busBase(env);
  if (warning !== undefined) onWarning(warning);
  const source =
    args.tasks === undefined
      ? commandForEach(rest, shape.workers)
      : (await import("../src/coordinator/tasks.ts")).openTasks(args.tasks, rest, copy);
  for (const name of sweepDeadBuses(base)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  checkLimits(shape, base);
  return { shape, gate, source, base };
}
