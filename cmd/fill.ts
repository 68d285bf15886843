import type { Env } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import type { Args } from "./command.ts";
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
  for (const [name, arg] of Object.entries(spec.args)) {
    if (arg.type === "positional") {
      const label = name.toUpperCase();
      if (arg.required !== false && positionals.length === 0) throw new CfnError("usage", `${label} is missing`);
      if (arg.many) given[name] = positionals.splice(0).map((text) => readValue(arg, text, label));
      else if (positionals.length > 0) given[name] = readValue(arg, positionals.shift() as string, label);
    } else if (!Object.hasOwn(given, name)) {
      if (arg.type === "boolean") given[name] = arg.default ?? false;
      else if (arg.env !== undefined && env[arg.env]) given[name] = readValue(arg, env[arg.env] as string, arg.env);
      else if ("many" in arg && arg.many) given[name] = [];
    }
  }
  if (positionals.length > 0) {
    const remedy = spec.rest === undefined ? "" : `${spec.rest} goes after --`;
    throw new CfnError("usage", `unexpected argument ${shown(positionals[0] as string)}`, remedy);
  }
  return given;
}
