/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { isBus } from "../src/bus/directory.ts";
import { Run } from "../src/coordinator/master.ts";
import { isTerminal } from "../src/os/terminal.ts";
import { endAtBug } from "./bug.ts";
import type { Command } from "./command.ts";
import { say } from "./log.ts";
import { onBus } from "./runbus.ts";
import { conclude } from "./runend.ts";
import { EarlyEnd } from "./runending.ts";
import { openFiles } from "./runfiles.ts";
import { openListener } from "./runlisten.ts";
import { metricsOf } from "./runmetrics.ts";
import { observersOf } from "./runobservers.ts";
import { runArgs } from "./runoptions.ts";
import { planRun } from "./runplan.ts";
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
  const { args, env, runId, earlier, settings } = undertaking;
  const { retries, halt, timeoutMs, timeLimitMs, graceMs } = settings.run;
  const ending = new EarlyEnd(graceMs);
  const oneTaskEach = args.tasks === undefined;
  const { shape, gate, source, base } = await planRun(undertaking, warn);
  const listener = await openListener(settings);
  const files = openFiles(undertaking);
  const { "line-buffer": lineBuffer } = args;
  const progress = progressLine(args.progress);
  const measured = { runId, shape, earlier: earlier.seqs.size, onWarning: warn };
  const metrics = metricsOf({ settings: settings.metrics, folder: files.folder, ...measured });

  const busDir = `${base}/run-${runId}`;
  const run = { runId, shape, source, oneTaskEach, retries, halt, timeoutMs, timeLimitMs, graceMs, gate };
  const system = {
    tmp: env["TMPDIR"],
    path: env["PATH"],
    holds: files.ownerFd,
    bounds: { ...settings.bus, agents: shape.workers },
    onWarning: warn,
    onInfo: info,
    talks: args.progress || isTerminal(2),
  };
  const end = await onBus({ busDir, runId, ...system }, async (bus, spool, guardian) => {
    listener?.watch(busDir);
    const openOutput = files.outputFrom(spool);
    const request = { bus, busDir, runId, shape, spool, env, settings, metrics: metrics.words, warn };
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const { observers, alerts } = observersOf({ ...request, oneTaskEach, progress, metrics });
    const opens = { openRecorder: files.openRecorder, openOutput, openSwarm: swarmOf(request) };
    const looks = { busBytes, busDamaged: () => bus.damaged(true), busIsThere: () => isBus(busDir) };
    const onStop = (wantedMs: number | undefined): void => ending.asked(wantedMs);
    const there = { ...looks, drainInboxes: drainOf(request), guardian, observers, onStop, onWarning: warn };
    const swarm = new Run({ ...run, ...opens, ...there, lineBuffer });
    const ended = swarm.run().finally(alerts.end);
    ending.ends((endMs) => {
      swarm.stop("interrupted", endMs);
      if (endMs === 0) alerts.cut();
    });
    const whole = await ended;
    return { ...whole, report: { ...whole.report, ...alerts.report() } };
  })
    .finally(metrics.close)
    .catch(files.giveUp);
  listener?.close();
  progress?.clear();
  await files.end(end);
  return conclude(end, ending.signal, earlier.seqs.size);
}
