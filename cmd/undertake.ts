/** Which run `cfn run` means: a new one, or one to resume. */
import type { Context } from "./command.ts";
import { checkCombination } from "./runchecks.ts";
import type { runArgs } from "./runoptions.ts";
import { newRun, type Undertaking } from "./undertaking.ts";

/** Nothing stands beside `--resume` where it means a journal. A number is the exit status: nothing is left to do. */
export async function undertake(context: Context<typeof runArgs>): Promise<Undertaking | number> {
  const { args, rest, env, words } = context;
  if (args.resume === undefined || words.length > 1) {
    checkCombination(args, rest);
    return newRun(context);
  }
  const { resumedRun } = await import("./runresume.ts");
  return resumedRun(env, args.resume === true ? undefined : args.resume);
}
