/** The settings: what holds and where it came from, what there is to set, and whether a file is right. */
import { settingsJson, settingsTable } from "../src/config/listing.ts";
import { loadSettings } from "../src/config/load.ts";
import { misspeltVariables } from "../src/config/sources.ts";
import { CfnError } from "../src/errors.ts";
import type { Arg, Args, Command, Context } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { say } from "./log.ts";
import { print, printJson } from "./output.ts";
import { runArgs } from "./runoptions.ts";
import { configOption, optionsGiven } from "./settings.ts";
import { path, type ValueType } from "./values.ts";

const actions = ["show", "check", "schema", "reference"] as const;
type Action = (typeof actions)[number];

const action: ValueType<Action> = {
  expects: actions.join(", "),
  read: (text) => actions.find((name) => name === text),
};

/** Those of `cfn run` that are settings: what they would change is shown. */
const settingOptions: Readonly<Record<string, Arg>> = Object.fromEntries(
  Object.entries(runArgs as Args).flatMap(([name, arg]) => ("setting" in arg ? [[name, { ...arg, rare: true }]] : [])),
);

const args = {
  ...settingOptions,
  action: {
    type: "positional",
    required: false,
    description: "show, check FILE, schema (JSON Schema), reference (Markdown)",
    value: action,
  },
  file: { type: "positional", required: false, description: "the file that check reads", value: path },
  config: configOption,
  json: { type: "boolean", description: "show: one JSON object" },
} as const satisfies Args;

export const configCommand: Command<typeof args> = {
  meta: { name: "config", description: "Show the settings and where each came from, or check a file" },
  args,
  example: "CFN_MAX_AGENTS=50 cfn config",
  async run(context) {
    const { action: wanted = "show", file } = context.args;
    if (file !== undefined && wanted !== "check") throw new CfnError("usage", `${wanted} takes no FILE`, "check does");
    if (wanted === "show") await show(context);
    else if (wanted === "check") await check(file);
    else if (wanted === "reference") print((await import("../src/config/reference.ts")).referencePage());
    else print(`${JSON.stringify((await import("../src/config/jsonschema.ts")).configJsonSchema(), null, 2)}\n`);
    return exitStatus.success;
  },
};

async function show({ args: values, env }: Context<typeof args>): Promise<void> {
  const options = optionsGiven(args, values);
  const { effective } = loadSettings({ env, options, file: values.config, located: true });
  for (const { variable, near } of misspeltVariables(env)) {
    await say("warn", `${variable} sets nothing; did you mean ${near.join(" or ")}?`);
  }
  if (values.json) printJson(settingsJson(effective));
  else print(settingsTable(effective));
}

/** The file alone, without variables: it is right for everybody. */
async function check(file: string | undefined): Promise<void> {
  if (file === undefined) throw new CfnError("usage", "FILE is missing", "cfn config check FILE");
  loadSettings({ env: {}, file });
  await say("info", `${file} is right`);
}
