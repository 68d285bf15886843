import type { Env } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import type { Arg, Args } from "./command.ts";
import { readValue, shown } from "./values.ts";

/**
 * Completes what the options gave: positionals get their names in order, absent options the value of their variable.
 * Throws CfnError("usage") where a positional is missing or one is too many. Pure, but for adding to `given`.
 */
export function fill(
  spec: { readonly args: Args; readonly rest?: string },
  given: Record<string, unknown>,
  positionals: string[],
  env: Env,
): Record<string, unknown> {
  for (const name in spec.args) {
    const arg = spec.args[name] as Arg;
    if (Object.hasOwn(given, name)) continue;
    const label = arg.type === "positional" ? name.toUpperCase() : name;
    const variable = "env" in arg ? arg.env : undefined;
    const fromEnv = variable === undefined ? undefined : env[variable] || undefined;
    if (arg.type === "positional" && positionals.length > 0) {
      if (arg.many) {
        const values: unknown[] = [];
        for (const text of positionals.splice(0)) values.push(readValue(arg, text, label));
        given[name] = values;
      } else given[name] = readValue(arg, positionals.shift() as string, label);
    } else if (fromEnv !== undefined) given[name] = readValue(arg, fromEnv, variable as string);
    else if (arg.type === "positional" && arg.required !== false) {
      throw new CfnError("usage", `${label} is missing`, variable === undefined ? "" : `give it, or set ${variable}`);
    } else if (arg.type === "boolean") given[name] = arg.default ?? false;
    else if ("many" in arg && arg.many) given[name] = [];
  }
  if (positionals.length > 0) {
    const remedy = spec.rest === undefined ? "" : `${spec.rest} goes after --`;
    throw new CfnError("usage", `unexpected argument ${shown(positionals[0] as string)}`, remedy);
  }
  return given;
}
