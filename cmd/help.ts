/** Help, rendered by citty and packed so that it fits a screen. Loaded only when asked for. */
import type { ArgsDef, CommandDef } from "citty";
import { renderUsage } from "citty";
import { version as packageVersion } from "../package.json";
import type { Arg, Command } from "./command.ts";
import { commands } from "./commands.ts";
import { UnknownName } from "./unknown.ts";

export const version: string = packageVersion;

const program = {
  name: "cfn",
  version,
  description: "Coordinate hundreds of agents over a crash-safe bus in shared memory",
};

const STATUSES = `EXIT STATUS
  0 success · 1 a task did not succeed · 64 usage · 65 malformed input
  66 no such agent, run or file · 69 no bus · 70 a bug in cfn · 73 cannot create
  75 full: try again · 77 refused: unsafe or forbidden · 124 timed out · 128+N signal N
`;

/** `words` as in `cfn help WORDS`: none for the program itself. Ends with a newline. */
export async function helpOf(words: readonly string[]): Promise<string> {
  const [name] = words;
  if (name === undefined) return programHelp();
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw new UnknownName("usage", "command", name, Object.keys(commands));
  return commandHelp(await load());
}

async function commandHelp(command: Command): Promise<string> {
  const usage = await renderUsage({ meta: command.meta, args: cittyArgs(command) }, { meta: program });
  const rest = command.rest === undefined ? "" : ` [-- ${command.rest}]`;
  // The usage line shows what is required.
  const packed = pack(usage.replaceAll("(Required)", "")).replace(/^(.*USAGE.*)$/m, (line) => `${line}${rest}`);
  return `${packed}\n${rareOptions(command)}EXAMPLE\n${command.example.replace(/^/gm, "  ")}\n`;
}

async function programHelp(): Promise<string> {
  const subCommands: Record<string, CommandDef> = {};
  for (const [name, load] of Object.entries(commands)) subCommands[name] = { meta: (await load()).meta };
  const usage = await renderUsage({ meta: program, subCommands });
  // The list of commands follows: it need not stand in the usage line too.
  const short = pack(usage)
    .replace(/^.*USAGE.*$/m, "USAGE cfn COMMAND [OPTIONS]; each has its own: cfn help COMMAND")
    .replace(/\nUse cfn <command>.*/, "");
  const example = "EXAMPLE\n  cfn run --agents 3 -- sh -c 'echo \"$CFN_AGENT_ID\"'\n";
  return `${short}\n${STATUSES}${example}`;
}

const COLUMNS_MOST = 100;

/** The options that stand without a description of their own. */
function rareOptions({ args }: Command): string {
  const words = Object.entries(args)
    .filter(([, arg]) => isRare(arg))
    .map(([name, arg]) => `--${name}=<${arg.type === "enum" ? arg.options.join("|") : arg.valueHint}>`);
  if (words.length === 0) return "";
  const lines = ["also"];
  for (const word of [...words, "(cfn config reference)"]) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length > COLUMNS_MOST) lines.push(`     ${word}`);
    else lines[lines.length - 1] = longer;
  }
  return `${lines.join("\n")}\n`;
}

const isRare = (arg: Arg): boolean => "rare" in arg && arg.rare === true;

/** citty shows a positional in capitals and an option as `--name=<hint>`; repetition and bare use it does not know. */
function cittyArgs(command: Command): ArgsDef {
  const shown = Object.entries(command.args).filter(([, arg]) => !isRare(arg));
  const entries = shown.map(([name, arg]): [string, Arg] => {
    if (arg.type === "positional" && arg.many) return [`${name}...`, arg];
    if (arg.type === "positional" && arg.env !== undefined) return [name, { ...arg, required: false }];
    if (arg.type === "string" && arg.bare) {
      return [`${name}[=${arg.valueHint}]`, { type: "boolean", description: arg.description ?? "" }];
    }
    return [name, arg];
  });
  return Object.fromEntries(entries) as ArgsDef;
}

const pack = (text: string): string =>
  plain(text)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.trimEnd())
    .join("\n");

/** citty decides on colour by NO_COLOR=1 and CI alone, not by where the text goes: there is none. */
function plain(text: string): string {
  const [first, ...others] = text.split("\x1b[");
  return `${first}${others.map((part) => part.slice(part.indexOf("m") + 1)).join("")}`;
}
