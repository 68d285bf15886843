/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { busBase, isBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { Run, type RunOptions } from "../src/coordinator/master.ts";
import { Output } from "../src/coordinator/output.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { Recorder } from "../src/coordinator/recorder.ts";
import { writeReport } from "../src/coordinator/report.ts";
import { ResultFolders } from "../src/coordinator/results.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { commandForEach } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { limits } from "../src/limits.ts";
import { catchSignals } from "../src/os/signals.ts";
import { coreCount } from "../src/os/usage.ts";
import type { Command, Context } from "./command.ts";
import { say } from "./log.ts";
import { onBus } from "./runbus.ts";
import { checkCombination, isResumption, placeForBus, runTimeLimit } from "./runchecks.ts";
import { conclude } from "./runend.ts";
import { runArgs } from "./runoptions.ts";
import { progressLine } from "./runprogress.ts";
import { swarmOf } from "./runswarm.ts";
import { newRun, type Undertaking } from "./undertaking.ts";

const warn = (text: string): void => void say("warn", text);

export const runCommand: Command<typeof runArgs> = {
  meta: { name: "run", description: "Run a swarm of agents until every task has a result" },
  args: runArgs,
  rest: "COMMAND [ARG]...",
  example: `seq 10 | cfn run --tasks - --agents 4 --tag -- sh -c 'echo "$0 squared is $(($0 * $0))"'`,
  run,
};

async function run(context: Context<typeof runArgs>): Promise<number> {
  const { args, rest, env, words } = context;
  if (!isResumption(args, words)) {
    checkCombination(args, rest);
    return runSwarm(newRun(context));
  }
  const { resumedRun } = await import("./runresume.ts");
  const resumed = await resumedRun(env, args.resume === true ? undefined : args.resume);
  return typeof resumed === "number" ? resumed : runSwarm(resumed);
}

async function runSwarm(undertaking: Undertaking): Promise<number> {
  const { args, rest, env, runId, earlier, copy } = undertaking;
  const taskList = args.tasks !== undefined;
  const workersPerCoordinator = args["workers-per-coordinator"];
  const shape = planShape({ ...args, workersPerCoordinator, taskList, cores: coreCount() });
  const runTimeMs = runTimeLimit(env);
  const base = busBase(env);
  if (base.warning !== undefined) warn(base.warning);
  const source =
    args.tasks === undefined
      ? commandForEach(rest, shape.workers)
      : (await import("../src/coordinator/tasks.ts")).openTasks(args.tasks, rest, copy);
  for (const name of sweepDeadBuses(base.dir)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  checkLimits(shape, placeForBus(base.dir));
  const joblog = undertaking.openJoblog();
  const results = args.results === undefined ? undefined : new ResultFolders(args.results);
  const { json, tag, "keep-order": keepOrder, "line-buffer": lineBuffer, retries = 0, halt = "never" } = args;
  const progress = progressLine(args.progress);

  const busDir = `${base.dir}/run-${runId}`;
  const run = { runId, shape, source, oneTaskEach: !taskList, retries, halt, timeoutMs: args.timeout, runTimeMs };
  let caught = 0;
  const end = await onBus(busDir, env["TMPDIR"], runId, async (bus, spool) => {
    const journal = undertaking.openJournal();
    const openRecorder: RunOptions["openRecorder"] = (onFailure) =>
      new Recorder({ journal, joblog, earlier, onFailure });
    const openOutput: RunOptions["openOutput"] = (recorder, onFailure) => {
      const onOut = recorder.add.bind(recorder);
      const isSkipped = recorder.has.bind(recorder);
      return new Output({ spool, json, tag, keepOrder, lineBuffer, results, isSkipped, onOut, onFailure });
    };
    const openSwarm = swarmOf({ bus, busDir, runId, shape, spool, env, warn });
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const onProgress = progress?.show;
    const busIsThere = (): boolean => isBus(busDir);
    const opens = { openRecorder, openOutput, openSwarm };
    const swarm = new Run({ ...run, ...opens, lineBuffer, busBytes, busIsThere, onProgress, onWarning: warn });
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      swarm.stop("interrupted", caught === 0 ? limits.killGraceMs : 0);
      caught ||= signal;
    });
    const ended = await swarm.run();
    const { status, tasks } = ended.report;
    await journal?.end({ status, finished: ended.finished, tasks });
    return ended;
  });
  progress?.clear();
  joblog?.close();
  if (args.report !== undefined) writeReport(args.report, end.report);
  return conclude(end, caught, earlier.seqs.size);
}
