/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { busBase, isBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { Run } from "../src/coordinator/master.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { commandForEach } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { limits } from "../src/limits.ts";
import { isTerminal } from "../src/os/terminal.ts";
import { coreCount } from "../src/os/usage.ts";
import { endAtBug } from "./bug.ts";
import type { Command } from "./command.ts";
import { say } from "./log.ts";
import { onBus } from "./runbus.ts";
import { placeForBus, runTimeLimit } from "./runchecks.ts";
import { conclude } from "./runend.ts";
import { EarlyEnd } from "./runending.ts";
import { openFiles } from "./runfiles.ts";
import { gateOf } from "./rungate.ts";
import { runArgs } from "./runoptions.ts";
import { pacing } from "./runpacing.ts";
import { progressLine } from "./runprogress.ts";
import { drainOf, swarmOf } from "./runswarm.ts";
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
  const graceMs = limits.killGraceMs;
  const ending = new EarlyEnd(graceMs);
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
  const { timeout: timeoutMs, "line-buffer": lineBuffer, retries = 0, halt = "never" } = args;
  const progress = progressLine(args.progress);

  const busDir = `${base.dir}/run-${runId}`;
  const run = { runId, shape, source, oneTaskEach: !taskList, retries, halt, timeoutMs, runTimeMs, graceMs, gate };
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
    const request = { bus, busDir, runId, shape, spool, env, graceMs, warn };
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const observers = [...(progress === undefined ? [] : [progress.observer]), ...pacing(bus, limits.senderPerSecond)];
    const busIsThere = (): boolean => isBus(busDir);
    const busDamaged = (): number => bus.damaged(true);
    const opens = { openRecorder: files.openRecorder, openOutput, openSwarm: swarmOf(request) };
    const there = { busBytes, busDamaged, busIsThere, drainInboxes: drainOf(request), guardian };
    const onStop = (wantedMs: number | undefined): void => ending.asked(wantedMs);
    const swarm = new Run({ ...run, ...opens, ...there, lineBuffer, observers, onStop, onWarning: warn });
    const ended = swarm.run();
    ending.ends((endMs) => swarm.stop("interrupted", endMs));
    return ended;
  }).catch(files.giveUp);
  progress?.clear();
  await files.end(end);
  return conclude(end, ending.signal, earlier.seqs.size);
}
