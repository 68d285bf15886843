/** `cfn run --resume`: finds the run to finish, and makes sure that nobody else works on it and nothing has changed. */
import type { Env } from "../src/bus/directory.ts";
import { loadSettings } from "../src/config/load.ts";
import { openJoblog } from "../src/coordinator/joblog.ts";
import { Journal, type JournalAbout } from "../src/coordinator/journal.ts";
import { journalRoot } from "../src/coordinator/journalfolder.ts";
import { chooseJournal, readAbout } from "../src/coordinator/journalread.ts";
import { readRecorded } from "../src/coordinator/recorded.ts";
import { replayOf } from "../src/coordinator/replay.ts";
import { CfnError } from "../src/errors.ts";
import { parseArgv } from "./argv.ts";
import { exitStatus } from "./exit.ts";
import { say } from "./log.ts";
import { checkCombination } from "./runchecks.ts";
import { taskFile } from "./runlist.ts";
import { runArgs } from "./runoptions.ts";
import { takeRun } from "./runtake.ts";
import { optionsGiven } from "./settings.ts";
import { environmentOf, settingVariables, type Undertaking } from "./undertaking.ts";

const warn = (text: string): void => void say("warn", text);

/**
 * `wanted`: the beginning of a run's id. Changes to the directory that the run was begun in. Gives the exit status alone
 * where the run had come to its end. Throws CfnError.
 */
export async function resumedRun(env: Env, wanted: string | undefined): Promise<Undertaking | number> {
  const chosen = chooseJournal(journalRoot(env), wanted);
  // Written before the run began, and never changed: it may be read before the run is ours.
  const about = readAbout(chosen);
  const { runId, path } = chosen;
  const before = Object.fromEntries(settingVariables.map((name) => [name, about.environment[name]]));
  const parsed = parseArgv(about.words, { args: runArgs, rest: "COMMAND" }, env);
  if (parsed.help) throw new CfnError("malformed", `the run ${runId} cannot be resumed: it asked for help`);
  const { args, rest } = parsed;
  const recorded = about.settings ?? { file: "", values: {}, secrets: [] };
  const options = optionsGiven(runArgs, args);
  const { settings } = loadSettings({ env: { ...env, ...before }, options, recorded });
  const own = environmentOf(settings, { ...env, ...before });
  const folder = takeRun(chosen, own);
  changeDirectory(about, runId);
  checkCombination(args, rest);
  checkList(about, runId);
  const joblog = args.joblog === undefined ? undefined : openJoblog(args.joblog, true);
  const earlier = readRecorded(path, joblog, args.resume === true, warn);
  if (earlier.end?.finished === true) {
    const { status, tasks } = earlier.end;
    await say(
      "info",
      `nothing is left to do: the run ${runId} ended with ${tasks.completed} of ${tasks.total} tasks completed`,
    );
    return status === "completed" ? exitStatus.success : exitStatus.taskFailed;
  }
  const replay =
    about.tasks === "copied" ? replayOf(path, args.tasks as string, rest.length > 0, earlier.inputBytes) : undefined;
  const begun = new Date(about.started_at * 1000).toISOString().slice(0, 19);
  await say("info", `resuming the run ${runId}, begun ${begun}Z: ${earlier.seqs.size} tasks have their result`);
  if (replay?.warning !== undefined) warn(replay.warning);
  const openJournal = (): Journal => new Journal(folder, false, warn);
  return {
    args,
    rest,
    env: own,
    settings,
    runId,
    copy: replay?.copy ?? {},
    earlier,
    isNew: false,
    openJoblog: () => joblog,
    openJournal,
  };
}

function changeDirectory({ cwd }: JournalAbout, runId: string): void {
  try {
    process.chdir(cwd);
  } catch {
    throw new CfnError(
      "not_found",
      `the run ${runId} was begun in ${cwd}, and that cannot be entered`,
      "make it again",
    );
  }
}

function checkList({ tasks }: JournalAbout, runId: string): void {
  if (typeof tasks === "string") return;
  const now = taskFile(tasks.path);
  const changed: string[] = [];
  if (now.bytes !== tasks.bytes) changed.push(`it had ${tasks.bytes} bytes and has ${now.bytes}`);
  if (now.modified !== tasks.modified) changed.push("it was written or replaced since");
  if (changed.length === 0) return;
  throw new CfnError(
    "malformed",
    `the run ${runId} cannot be resumed: the task file ${tasks.path} has changed: ${changed.join(", ")}`,
    "put the old one back, its time of change too (touch -d, cp -p), or start a new run with what is missing",
  );
}
