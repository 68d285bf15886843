/** Which run `cfn run` means: a new one, or one to resume. */
import { loadSettings } from "../src/config/load.ts";
import type { Context } from "./command.ts";
import { checkCombination } from "./runchecks.ts";
import { runArgs } from "./runoptions.ts";
import { optionsGiven } from "./settings.ts";
import { newRun, type Undertaking } from "./undertaking.ts";

/** Nothing stands beside `--resume` where it means a journal. A number is the exit status: nothing is left to do. */
export async function undertake(context: Context<typeof runArgs>): Promise<Undertaking | number> {
  const { args, rest, env, words } = context;
  if (args.resume === undefined || words.length > 1) {
    const loaded = loadSettings({ env, options: optionsGiven(runArgs, args), file: args.config });
    checkCombination(args, rest);
    return newRun(context, loaded);
  }
  const { resumedRun } = await import("./runresume.ts");
  return resumedRun(env, args.resume === true ? undefined : args.resume);
}
