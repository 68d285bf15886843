/**
 * Reads a command line by its definitions, strictly: what is not defined is refused. Pure.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc` for flags, `--no-name` where defined, `--` ends the
 * options, `-` alone is a positional. A value given by `=` may be anything, newlines and a leading `-` included; one in a
 * word of its own may begin with `-` only if it is `-` or a negative number (so that the refusal names the range).
 */
import type { Env } from "../src/bus/directory.ts";
import type { Args, Values } from "./command.ts";
import { fill } from "./fill.ts";
import { Words } from "./words.ts";

interface Spec<A extends Args> {
  readonly args: A;
  readonly rest?: string;
}

type Parsed<A extends Args> =
  | { readonly help: true }
  | { readonly help: false; readonly args: Values<A>; readonly rest: readonly string[] };

/** Throws CfnError("usage"); for an unknown option it is an UnknownName. */
export function parseArgv<A extends Args>(argv: readonly string[], spec: Spec<A>, env: Env): Parsed<A> {
  const words = new Words(argv, spec.args);
  const positionals: string[] = [];
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === "--help" || word === "-h") return { help: true };
    if (word === "--") {
      const rest = words.remaining();
      if (spec.rest === undefined) positionals.push(...rest);
      const given = fill(spec, words.given, positionals, env);
      return { help: false, args: given as Values<A>, rest: spec.rest === undefined ? [] : rest };
    }
    if (word === "-" || !word.startsWith("-")) positionals.push(word);
    else if (word.startsWith("--")) words.long(word);
    else words.short(word);
  }
  return { help: false, args: fill(spec, words.given, positionals, env) as Values<A>, rest: [] };
}
