/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { busBase, isBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { Run } from "../src/coordinator/master.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { commandForEach } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { limits } from "../src/limits.ts";
import { catchSignals } from "../src/os/signals.ts";
import { isTerminal } from "../src/os/terminal.ts";
import { coreCount } from "../src/os/usage.ts";
import { endAtBug } from "./bug.ts";
import type { Command } from "./command.ts";
import { say } from "./log.ts";
import { onBus } from "./runbus.ts";
import { placeForBus, runTimeLimit } from "./runchecks.ts";
import { conclude } from "./runend.ts";
import { openFiles } from "./runfiles.ts";
import { gateOf } from "./rungate.ts";
import { metricsDefaults, metricsOf } from "./runmetrics.ts";
import { runArgs } from "./runoptions.ts";
import { pacing } from "./runpacing.ts";
import { progressLine } from "./runprogress.ts";
import { swarmOf } from "./runswarm.ts";
import { undertake } from "./undertake.ts";
import type { Undertaking } from "./undertaking.ts";

const warn = (text: string): void => void say("warn", text);
const info = (text: string): void => void say("info", text);

export const runCommand: Command<typeof runArgs> = {
  meta: { name: "run", description: "Run a swarm of agents until every task has a result" },
  args: runArgs,
  guard: endAtBug,
  rest: "COMMAND [ARG]...",
  example: `seq 10 | cfn run --tasks - --agents 4 --tag -- sh -c 'echo "$0 squared is $(($0 * $0))"'`,
  run: async (context) => {
    const undertaking = await undertake(context);
    return typeof undertaking === "number" ? undertaking : runSwarm(undertaking);
  },
};

async function runSwarm(undertaking: Undertaking): Promise<number> {
  const { args, rest, env, runId, earlier, copy } = undertaking;
  const taskList = args.tasks !== undefined;
  const workersPerCoordinator = args["workers-per-coordinator"];
  const shape = planShape({ ...args, workersPerCoordinator, taskList, cores: coreCount() });
  const runTimeMs = runTimeLimit(env);
  const gate = gateOf(args, warn);
  const base = busBase(env);
  if (base.warning !== undefined) warn(base.warning);
  const source =
    args.tasks === undefined
      ? commandForEach(rest, shape.workers)
      : (await import("../src/coordinator/tasks.ts")).openTasks(args.tasks, rest, copy);
  for (const name of sweepDeadBuses(base.dir)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  const place = placeForBus(base.dir);
  checkLimits(shape, place);
  const files = openFiles(undertaking);
  const { "line-buffer": lineBuffer, retries = 0, halt = "never" } = args;
  const progress = progressLine(args.progress);
  const { folder } = files;
  const settings = { ...metricsDefaults, enabled: env["CFN_METRICS_ENABLED"] !== "false" };
  const metrics = metricsOf({ settings, folder, runId, shape, earlier: earlier.seqs.size, onWarning: warn });

  const busDir = `${base.dir}/run-${runId}`;
  const run = { runId, shape, source, oneTaskEach: !taskList, retries, halt, timeoutMs: args.timeout, runTimeMs, gate };
  let caught = 0;
  const system = {
    tmp: env["TMPDIR"],
    path: env["PATH"],
    holds: files.ownerFd,
    onWarning: warn,
    onInfo: info,
    talks: args.progress || isTerminal(2),
  };
  const end = await onBus({ busDir, place, runId, ...system }, (bus, spool, guardian) => {
    const openOutput = files.outputFrom(spool);
    const openSwarm = swarmOf({ bus, busDir, runId, shape, spool, env, metrics: metrics.words, warn });
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const seen = [progress?.observer, metrics.open(bus)].filter((each) => each !== undefined);
    const observers = [...seen, ...pacing(bus, limits.senderPerSecond)];
    const busIsThere = (): boolean => isBus(busDir);
    const busDamaged = (): number => bus.damaged(true);
    const opens = { openRecorder: files.openRecorder, openOutput, openSwarm };
    const there = { busBytes, busDamaged, busIsThere, guardian };
    const swarm = new Run({ ...run, ...opens, ...there, lineBuffer, observers, onWarning: warn });
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      swarm.stop("interrupted", caught === 0 ? limits.killGraceMs : 0);
      caught ||= signal;
    });
    return swarm.run();
  })
    .finally(metrics.close)
    .catch(files.giveUp);
  progress?.clear();
  await files.end(end);
  return conclude(end, caught, earlier.seqs.size);
}
