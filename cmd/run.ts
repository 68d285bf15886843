/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { busBase, isBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { Run } from "../src/coordinator/master.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { commandForEach } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { catchSignals } from "../src/os/signals.ts";
import { isTerminal } from "../src/os/terminal.ts";
import { coreCount } from "../src/os/usage.ts";
import { endAtBug } from "./bug.ts";
import type { Command } from "./command.ts";
import { say } from "./log.ts";
import { runAlerts } from "./runalerts.ts";
import { runBoard } from "./runboard.ts";
import { onBus } from "./runbus.ts";
import { placeForBus } from "./runchecks.ts";
import { conclude } from "./runend.ts";
import { openFiles } from "./runfiles.ts";
import { gateOf } from "./rungate.ts";
import { openListener } from "./runlisten.ts";
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
  const { args, rest, env, runId, earlier, copy, settings } = undertaking;
  const taskList = args.tasks !== undefined;
  const { retries, halt, timeoutMs, timeLimitMs, graceMs } = settings.run;
  const shape = planShape({ ...settings.run, taskList, cores: coreCount() });
  const gate = gateOf(settings.run, warn);
  const base = busBase(env);
  if (base.warning !== undefined) warn(base.warning);
  const source =
    args.tasks === undefined
      ? commandForEach(rest, shape.workers)
      : (await import("../src/coordinator/tasks.ts")).openTasks(args.tasks, rest, copy);
  for (const name of sweepDeadBuses(base.dir)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  const place = placeForBus(base.dir);
  checkLimits(shape, place);
  const listener = await openListener(settings);
  const files = openFiles(undertaking);
  const { "line-buffer": lineBuffer } = args;
  const progress = progressLine(args.progress);

  const busDir = `${base.dir}/run-${runId}`;
  const run = { runId, shape, source, oneTaskEach: !taskList, retries, halt, timeoutMs, timeLimitMs, graceMs, gate };
  let caught = 0;
  const system = {
    tmp: env["TMPDIR"],
    path: env["PATH"],
    holds: files.ownerFd,
    bounds: settings.bus,
    onWarning: warn,
    onInfo: info,
    talks: args.progress || isTerminal(2),
  };
  const end = await onBus({ busDir, place, runId, ...system }, async (bus, spool, guardian) => {
    listener?.watch(busDir);
    const openSwarm = swarmOf({ bus, busDir, runId, shape, spool, env, graceMs, health: settings.health, warn });
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const alerts = runAlerts({ bus, runId, env, settings: settings.alert });
    const board = runBoard(busDir, shape, taskList ? undefined : shape.workers, settings.health);
    const lookers = [alerts.observer, progress?.observer, board, ...pacing(bus, settings.bus.senderRate)];
    const observers = lookers.filter((looker) => looker !== undefined);
    const opens = { openRecorder: files.openRecorder, openOutput: files.outputFrom(spool), openSwarm };
    const there = { busBytes, busDamaged: () => bus.damaged(true), busIsThere: () => isBus(busDir), guardian };
    const swarm = new Run({ ...run, ...opens, ...there, lineBuffer, observers, onWarning: warn });
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      swarm.stop("interrupted", caught === 0 ? graceMs : 0);
      if (caught > 0) alerts.cut();
      caught ||= signal;
    });
    const ended = await swarm.run().finally(alerts.end);
    return { ...ended, report: { ...ended.report, ...alerts.report() } };
  }).catch(files.giveUp);
  listener?.close();
  progress?.clear();
  await files.end(end);
  return conclude(end, caught, earlier.seqs.size);
}
