/** The entry: finds the subcommand, reads its arguments, runs it, turns whatever happens into an exit status. */
import type { Env } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import { parseArgv } from "./argv.ts";
import { commands } from "./commands.ts";
import { beforeExit, exitStatus, statusOf } from "./exit.ts";
import { OutputClosed, print } from "./output.ts";
import { UnknownName } from "./unknown.ts";

async function main(argv: readonly string[], env: Env): Promise<number> {
  const [name, ...words] = argv;
  if (name === undefined) throw new CfnError("usage", "no command given", "see cfn --help");
  if (name === "--version" || name === "-V") {
    print(`${(await import("./help.ts")).version}\n`);
    return exitStatus.success;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    print(await (await import("./help.ts")).helpOf(name === "help" ? words : []));
    return exitStatus.success;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw unknownName(name);
  const command = await load();
  const parsed = parseArgv(words, command, env);
  command.guard?.(report);
  if (!parsed.help) return command.run({ args: parsed.args, rest: parsed.rest, env, words });
  print(await (await import("./help.ts")).helpOf([name]));
  return exitStatus.success;
}

function unknownName(name: string): UnknownName {
  if (name.startsWith("-")) return new UnknownName("usage", "option", name, ["--help", "--version"]);
  return new UnknownName("usage", "command", name, Object.keys(commands));
}

/** Says what went wrong, in one or two lines, and gives the exit status. */
async function report(error: unknown): Promise<number> {
  if (error instanceof OutputClosed) return exitStatus.outputClosed;
  const { say } = await import("./log.ts");
  if (error instanceof UnknownName) {
    const near = (await import("../src/message/nearest.ts")).nearest(error.given, error.candidates);
    const hint = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
    await say("error", `${error.message}${hint}${error.remedy ? `\n  ${error.remedy}` : ""}`);
    return statusOf(error.code);
  }
  if (error instanceof CfnError) {
    await say("error", `${error.message}${error.remedy ? `\n  ${error.remedy}` : ""}`);
    return statusOf(error.code);
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  await say("error", `this is a bug in cfn, please report it with these lines\n${detail}`);
  return exitStatus.bug;
}

const status = await main(process.argv.slice(2), process.env).catch(report);
for (const say of beforeExit) await say();
process.exit(status);
