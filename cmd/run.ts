/** Runs a swarm: the bus, the signals and the exit status around `src/coordinator/master.ts`. */
import { openBus } from "../src/bus/bus.ts";
import { busBase, claimBus, createBus, destroyBus, sweepDeadBuses } from "../src/bus/directory.ts";
import { openJoblog } from "../src/coordinator/joblog.ts";
import { Run, type RunEnd } from "../src/coordinator/master.ts";
import { Output } from "../src/coordinator/output.ts";
import { checkLimits } from "../src/coordinator/preflight.ts";
import { writeReport } from "../src/coordinator/report.ts";
import { ResultFolders } from "../src/coordinator/results.ts";
import { planShape } from "../src/coordinator/shape.ts";
import { makeSpool, sweepSpool } from "../src/coordinator/spool.ts";
import { commandForEach, openTasks } from "../src/coordinator/tasks.ts";
import { limits } from "../src/limits.ts";
import { randomId } from "../src/os/random.ts";
import { catchSignals } from "../src/os/signals.ts";
import { becomeSubreaper } from "../src/os/subreaper.ts";
import { removeTree } from "../src/os/tree.ts";
import { coreCount } from "../src/os/usage.ts";
import type { Command, Context } from "./command.ts";
import { exitStatus, statusOf, statusOfSignal } from "./exit.ts";
import { say } from "./log.ts";
import { checkCombination, placeForBus, runTimeLimit } from "./runchecks.ts";
import { runArgs } from "./runoptions.ts";
import { progressLine } from "./runprogress.ts";
import { swarmOf } from "./runswarm.ts";

const warn = (text: string): void => void say("warn", text);

export const runCommand: Command<typeof runArgs> = {
  meta: { name: "run", description: "Run a swarm of agents until every task has a result" },
  args: runArgs,
  rest: "COMMAND [ARG]...",
  example: `seq 10 | cfn run --tasks - --agents 4 --tag -- sh -c 'echo "$0 squared is $(($0 * $0))"'`,
  run: runSwarm,
};

async function runSwarm(context: Context<typeof runArgs>): Promise<number> {
  const { args, rest, env } = context;
  checkCombination(args, rest);
  const taskList = args.tasks !== undefined;
  const workersPerCoordinator = args["workers-per-coordinator"];
  const shape = planShape({ ...args, workersPerCoordinator, taskList, cores: coreCount() });
  const base = busBase(env);
  if (base.warning !== undefined) warn(base.warning);
  const source = taskList ? openTasks(args.tasks as string, rest) : commandForEach(rest, shape.workers);
  for (const name of sweepDeadBuses(base.dir)) sweepSpool(env["TMPDIR"], name.replace("run-", ""));
  checkLimits(shape, placeForBus(base.dir));
  const joblog = args.joblog === undefined ? undefined : openJoblog(args.joblog, args.resume);
  const results = args.results === undefined ? undefined : new ResultFolders(args.results);

  const runId = randomId();
  const busDir = `${base.dir}/run-${runId}`;
  createBus(busDir);
  const release = claimBus(busDir);
  let spool: string | undefined;
  const progress = progressLine(args.progress);
  try {
    const made = makeSpool(busDir, env["TMPDIR"], runId);
    spool = made;
    becomeSubreaper();
    const bus = openBus(busDir);
    const run = new Run({
      runId,
      shape,
      source,
      oneTaskEach: !taskList,
      retries: args.retries ?? 0,
      halt: args.halt ?? "never",
      timeoutMs: args.timeout,
      runTimeMs: runTimeLimit(env),
      joblog,
      lineBuffer: args["line-buffer"],
      openSwarm: swarmOf({ bus, busDir, runId, shape, spool, env, warn }),
      openOutput: (onFailure) =>
        new Output({
          spool: made,
          json: args.json,
          tag: args.tag,
          keepOrder: args["keep-order"],
          lineBuffer: args["line-buffer"],
          results,
          isSkipped: (seq) => joblog?.finished.has(seq) === true,
          onFailure,
        }),
      busBytes: () => bus.bytes(),
      onProgress: progress?.show,
      onWarning: warn,
    });
    let caught = 0;
    const restore = catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      run.stop("interrupted", caught === 0 ? limits.killGraceMs : 0);
      caught ||= signal;
    });
    const end = await run.run();
    progress?.clear();
    restore();
    bus.close();
    if (args.report !== undefined) writeReport(args.report, end.report);
    return await status(end, caught);
  } finally {
    joblog?.close();
    if (spool !== undefined) removeTree(spool);
    release();
    destroyBus(busDir);
  }
}

async function status({ report, failure, left }: RunEnd, caught: number): Promise<number> {
  const { total, completed, retried } = report.tasks;
  if (report.orphans_ended > 0)
    await say("warn", `ended ${report.orphans_ended} processes that agents had left behind`);
  if (left.length > 0) await say("warn", `processes that cannot be ended: ${left.join(", ")}`);
  if ((failure as { code?: unknown } | undefined)?.code === "EPIPE") return exitStatus.outputClosed;
  if (total === 0 && failure === undefined && caught === 0) await say("warn", "there were no tasks");
  if (completed < total) {
    const first = report.failures[0];
    const what =
      first === undefined
        ? ""
        : `, the first: task ${first.task_id}: ${first.detail ?? `exit status ${first.exit_code}`}`;
    await say(
      "warn",
      `${total - completed} of ${total} tasks did not succeed${retried > 0 ? ` (${retried} retries)` : ""}${what}`,
    );
  }
  if (failure !== undefined) throw failure;
  if (caught > 0) return statusOfSignal(caught);
  if (report.status === "timed_out") return statusOf("timed_out");
  return report.status === "completed" ? exitStatus.success : exitStatus.taskFailed;
}
