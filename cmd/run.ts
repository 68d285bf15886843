/** Runs a swarm: the bus, the signals and the files around `src/coordinator/master.ts`. */
import { busBase, isBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { openJoblog } from "../src/coordinator/joblog.ts";
import { Run, type RunOptions } from "../src/coordinator/master.ts";
import { Output } from "../src/coordinator/output.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { writeReport } from "../src/coordinator/report.ts";
import { ResultFolders } from "../src/coordinator/results.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { commandForEach } from "../src/coordinator/source.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { limits } from "../src/limits.ts";
import { randomId } from "../src/os/random.ts";
import { catchSignals } from "../src/os/signals.ts";
import { coreCount } from "../src/os/usage.ts";
import { endAtBug } from "./bug.ts";
import type { Command, Context } from "./command.ts";
import { say } from "./log.ts";
import { onBus } from "./runbus.ts";
import { checkCombination, placeForBus, runTimeLimit } from "./runchecks.ts";
import { conclude } from "./runend.ts";
import { runArgs } from "./runoptions.ts";
import { progressLine } from "./runprogress.ts";
import { swarmOf } from "./runswarm.ts";

const warn = (text: string): void => void say("warn", text);

export const runCommand: Command<typeof runArgs> = {
  meta: { name: "run", description: "Run a swarm of agents until every task has a result" },
  args: runArgs,
  guard: endAtBug,
  rest: "COMMAND [ARG]...",
  example: `seq 10 | cfn run --tasks - --agents 4 --tag -- sh -c 'echo "$0 squared is $(($0 * $0))"'`,
  run: runSwarm,
};

async function runSwarm({ args, rest, env }: Context<typeof runArgs>): Promise<number> {
  checkCombination(args, rest);
  const taskList = args.tasks !== undefined;
  const workersPerCoordinator = args["workers-per-coordinator"];
  const shape = planShape({ ...args, workersPerCoordinator, taskList, cores: coreCount() });
  const runTimeMs = runTimeLimit(env);
  const base = busBase(env);
  if (base.warning !== undefined) warn(base.warning);
  const source =
    args.tasks === undefined
      ? commandForEach(rest, shape.workers)
      : (await import("../src/coordinator/tasks.ts")).openTasks(args.tasks, rest);
  for (const name of sweepDeadBuses(base.dir)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  checkLimits(shape, placeForBus(base.dir));
  const joblog = args.joblog === undefined ? undefined : openJoblog(args.joblog, args.resume);
  const results = args.results === undefined ? undefined : new ResultFolders(args.results);
  const { json, tag, "keep-order": keepOrder, "line-buffer": lineBuffer, retries = 0, halt = "never" } = args;
  const progress = progressLine(args.progress);

  const runId = randomId();
  const busDir = `${base.dir}/run-${runId}`;
  const isSkipped = (seq: number): boolean => joblog?.finished.has(seq) === true;
  const run = { runId, shape, source, oneTaskEach: !taskList, retries, halt, timeoutMs: args.timeout, runTimeMs };
  let caught = 0;
  const end = await onBus(busDir, env["TMPDIR"], runId, (bus, spool) => {
    const openOutput: RunOptions["openOutput"] = (onFailure) =>
      new Output({ spool, json, tag, keepOrder, lineBuffer, results, isSkipped, onFailure });
    const openSwarm = swarmOf({ bus, busDir, runId, shape, spool, env, warn });
    const busBytes = args.report === undefined ? undefined : () => bus.bytes();
    const onProgress = progress?.show;
    const busIsThere = (): boolean => isBus(busDir);
    const files = { joblog, busBytes, busIsThere };
    const swarm = new Run({ ...run, ...files, lineBuffer, openSwarm, openOutput, onProgress, onWarning: warn });
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      swarm.stop("interrupted", caught === 0 ? limits.killGraceMs : 0);
      caught ||= signal;
    });
    return swarm.run();
  });
  progress?.clear();
  joblog?.close();
  if (args.report !== undefined) writeReport(args.report, end.report);
  return conclude(end, caught);
}
