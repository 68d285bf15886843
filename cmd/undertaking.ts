/** What `cfn run` undertakes: a run of its own, or what is left of one that was killed (`runresume.ts`). */

import { version } from "../package.json";
import type { Env } from "../src/bus/directory.ts";
import type { LoadedSettings } from "../src/config/load.ts";
import { type Settings, settingList } from "../src/config/schema.ts";
import { type Joblog, openJoblog } from "../src/coordinator/joblog.ts";
import { beginJournal, type Journal, type JournalAbout } from "../src/coordinator/journal.ts";
import { journalRoot } from "../src/coordinator/journalfolder.ts";
import { nothingRecorded, type Recorded } from "../src/coordinator/journalread.ts";
import type { TaskCopy } from "../src/coordinator/source.ts";
import { CfnError } from "../src/errors.ts";
import { unixSeconds } from "../src/os/clock.ts";
import { bootId } from "../src/os/process.ts";
import { randomId } from "../src/os/random.ts";
import type { Context, Values } from "./command.ts";
import { say } from "./log.ts";
import { absolute, listOf } from "./runlist.ts";
import type { runArgs } from "./runoptions.ts";

type RunArgs = typeof runArgs;

export interface Undertaking {
  readonly args: Values<RunArgs>;
  readonly rest: readonly string[];
  /** Whose CFN_MESSAGE_BASE_DIR is `bus.base_dir`, wherever that was set. */
  readonly env: Env;
  readonly settings: Settings;
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

/**
 * The variables that set something: a run that is resumed has those that it was begun with. Secrets are not recorded, nor where
 * buses are: that may have to be another place by then.
 */
export const settingVariables: readonly string[] = settingList.flatMap(({ key, secret, variables }) =>
  secret === true || key === "bus.base_dir" ? [] : variables,
);

export function environmentOf({ bus }: Settings, env: Env): Env {
  return bus.baseDir === undefined ? env : { ...env, CFN_MESSAGE_BASE_DIR: bus.baseDir };
}

export function newRun({ args, rest, env, words }: Context<RunArgs>, loaded: LoadedSettings): Undertaking {
  const { settings, recorded } = loaded;
  const runId = randomId();
  let journal: Journal | undefined;
  return {
    args,
    rest,
    env: environmentOf(settings, env),
    settings,
    runId,
    copy: { copyInput: (bytes) => journal?.copyInput(bytes) },
    earlier: nothingRecorded(),
    isNew: true,
    openJoblog: () => (args.joblog === undefined ? undefined : openJoblog(args.joblog, args.resume === true)),
    openJournal: () => {
      journal = begin(env, settings, {
        schema: "cfn.journal/1",
        version,
        run_id: runId,
        words,
        cwd: process.cwd(),
        environment: Object.fromEntries(
          settingVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
        ),
        ...(recorded === undefined ? {} : { settings: { ...recorded, file: absolute(recorded.file) } }),
        started_at: unixSeconds(),
        boot_id: bootId(),
        tasks: listOf(args.tasks),
      });
      return journal;
    },
  };
}

/** Without a place for it the run goes on. */
function begin(env: Env, { journal }: Settings, about: JournalAbout): Journal | undefined {
  try {
    return beginJournal(journalRoot(env), about, journal, warn);
  } catch (error) {
    if (!(error instanceof CfnError)) throw error;
    warn(`no journal, so --resume will not be possible for this run: ${error.message}`);
    return undefined;
  }
}
