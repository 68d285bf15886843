/** What `cfn run` undertakes: a run of its own, or what is left of one that was killed (`runresume.ts`). */

import { version } from "../package.json";
import type { Env } from "../src/bus/directory.ts";
import { type Joblog, openJoblog } from "../src/coordinator/joblog.ts";
import { beginJournal, type Journal, type JournalAbout, type TaskFile } from "../src/coordinator/journal.ts";
import { journalRoot } from "../src/coordinator/journalfolder.ts";
import { nothingRecorded, type Recorded } from "../src/coordinator/journalread.ts";
import { comesOnce, type TaskCopy } from "../src/coordinator/source.ts";
import { CfnError } from "../src/errors.ts";
import { unixSeconds } from "../src/os/clock.ts";
import { statPath } from "../src/os/file.ts";
import { bootId } from "../src/os/process.ts";
import { randomId } from "../src/os/random.ts";
import type { Context, Values } from "./command.ts";
import { say } from "./log.ts";
import { runArgs } from "./runoptions.ts";

type RunArgs = typeof runArgs;

export interface Undertaking {
  readonly args: Values<RunArgs>;
  readonly rest: readonly string[];
  readonly env: Env;
  readonly runId: string;
  /** The list's copy: to be written, or to be read. */
  readonly copy: TaskCopy;
  readonly earlier: Recorded;
  readonly isNew: boolean;
  readonly openJoblog: () => Joblog | undefined;
  /** Undefined where none can be written, which has been said. */
  readonly openJournal: () => Journal | undefined;
}

const warn = (text: string): void => void say("warn", text);

/** The variables that stand in for options: a run that is resumed has those that it was begun with. */
export const optionVariables: readonly string[] = [
  ...Object.values(runArgs).flatMap((arg) => ("env" in arg ? [arg.env] : [])),
  "CFN_MAX_COORDINATION_TIME",
];

export function newRun({ args, rest, env, words }: Context<RunArgs>): Undertaking {
  const runId = randomId();
  let journal: Journal | undefined;
  return {
    args,
    rest,
    env,
    runId,
    copy: { copyInput: (bytes) => journal?.copyInput(bytes) },
    earlier: nothingRecorded(),
    isNew: true,
    openJoblog: () => (args.joblog === undefined ? undefined : openJoblog(args.joblog, args.resume === true)),
    openJournal: () => {
      journal = begin(env, {
        schema: "cfn.journal/1",
        version,
        run_id: runId,
        words,
        cwd: process.cwd(),
        environment: Object.fromEntries(
          optionVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
        ),
        started_at: unixSeconds(),
        boot_id: bootId(),
        tasks: listOf(args.tasks),
      });
      return journal;
    },
  };
}

/** Without a place for it the run goes on. */
function begin(env: Env, about: JournalAbout): Journal | undefined {
  try {
    return beginJournal(journalRoot(env), about, warn);
  } catch (error) {
    if (!(error instanceof CfnError)) throw error;
    warn(`no journal, so --resume will not be possible for this run: ${error.message}`);
    return undefined;
  }
}

function listOf(tasks: string | undefined): JournalAbout["tasks"] {
  if (tasks === undefined) return "command";
  return comesOnce(tasks) ? "copied" : taskFile(tasks.startsWith("/") ? tasks : `${process.cwd()}/${tasks}`);
}

/** A task file as it is now; of one that is not there, no bytes. */
export function taskFile(path: string): TaskFile {
  const stat = statPath(path, true);
  const modified = `${stat?.modifiedSeconds ?? 0}.${String(stat?.modifiedNanoseconds ?? 0).padStart(9, "0")}`;
  return { path, bytes: stat?.bytes ?? 0, modified };
}
