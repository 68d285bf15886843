/** What can be refused before anything of the run exists. */
import { CfnError } from "../src/errors.ts";
import { isWritable, statPath } from "../src/os/file.ts";
import type { Values } from "./command.ts";
import type { runArgs } from "./runoptions.ts";

/** Throws CfnError("usage"), or cannot_create where the report could not be written at the end. */
export function checkCombination(args: Values<typeof runArgs>, command: readonly string[]): void {
  if (args.resume !== undefined && (args.joblog === undefined || args.resume !== true)) {
    throw new CfnError(
      "usage",
      "--resume needs --joblog FILE beside a command or --tasks, or stands alone",
      "alone, cfn run --resume[=RUN] finishes a run as it was begun, with the options it had then",
    );
  }
  if (command.length === 0 && args.tasks === undefined) {
    throw new CfnError("usage", "nothing to run", "give a command after --, or --tasks FILE");
  }
  if (command[0] === "") throw new CfnError("usage", "the command is empty", "name a program after --");
  const exclusive = [
    ["keep-order", "line-buffer", "one waits for its turn, the other for nothing"],
    ["json", "tag", "each object names its task"],
    ["json", "line-buffer", "an object is printed when its task has ended"],
  ] as const;
  for (const [one, other, why] of exclusive) {
    if (args[one] && args[other]) throw new CfnError("usage", `--${one} and --${other} exclude each other: ${why}`);
  }
  if (args.report === undefined) return;
  const directory = args.report.includes("/") ? args.report.slice(0, args.report.lastIndexOf("/")) || "/" : ".";
  const reason = statPath(directory, true)?.type !== "directory" ? "is not a directory" : "is not writable";
  if (reason === "is not a directory" || !isWritable(directory)) {
    throw new CfnError("cannot_create", `cannot write the report ${args.report}: ${directory} ${reason}`);
  }
  if (statPath(args.report, true)?.type === "directory") {
    throw new CfnError("cannot_create", `cannot write the report ${args.report}: it is a directory`);
  }
}
