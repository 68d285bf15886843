/**
 * Reads a command line by its definitions, strictly: what is not defined is refused. Pure.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc` for flags, `--no-name` where defined, `--` ends the
 * options, `-` alone is a positional. A value given by `=` may be anything, newlines and a leading `-` included; one in a
 * word of its own may begin with `-` only if it is `-` or a negative number (so that the refusal names the range).
 */
import { CfnError } from "../src/errors.ts";
import type { Arg, Args, Env, Values } from "./command.ts";
import { UnknownName } from "./unknown.ts";

interface Spec<A extends Args> {
  readonly args: A;
  readonly rest?: string;
}

type Parsed<A extends Args> =
  | { readonly help: true }
  | { readonly help: false; readonly args: Values<A>; readonly rest: readonly string[] };

const NEGATIVE_NUMBER = /^-\.?[0-9]/;

/** Shows a value in a message: quoted, control characters escaped, long ones cut. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

function read(arg: Arg, text: string, name: string): unknown {
  if (arg.type === "boolean") return true;
  if (arg.type === "enum") {
    if (arg.options.includes(text)) return text;
    throw new CfnError("usage", `${name} ${shown(text)}: expected ${arg.options.join(", ")}`);
  }
  if (arg.value === undefined) return text;
  const value = arg.value.read(text);
  if (value === undefined) throw new CfnError("usage", `${name} ${shown(text)}: expected ${arg.value.expects}`);
  return value;
}

/** Throws CfnError("usage"); an unknown option is an UnknownName. */
export function parseArgv<A extends Args>(argv: readonly string[], spec: Spec<A>, env: Env): Parsed<A> {
  const given: Record<string, unknown> = {};
  const positionals: string[] = [];
  let rest: readonly string[] = [];

  const find = (name: string): Arg | undefined => {
    const arg = Object.hasOwn(spec.args, name) ? spec.args[name] : undefined;
    return arg?.type === "positional" ? undefined : arg;
  };
  const unknown = (option: string): UnknownName => {
    const names = Object.keys(spec.args).filter(find);
    return new UnknownName("usage", "option", option, [...names.map((name) => `--${name}`), "--help"]);
  };
  const put = (name: string, arg: Arg, value: unknown, as: string): void => {
    if ("many" in arg && arg.many) given[name] = [...((given[name] as unknown[] | undefined) ?? []), value];
    else if (Object.hasOwn(given, name)) throw new CfnError("usage", `${as} is given more than once`);
    else given[name] = value;
  };
  /** The value that stands in the next word; reports through `at` that the word is used. */
  let at = 0;
  const nextWord = (arg: Arg, as: string): string => {
    const word = argv[at + 1];
    if (word !== undefined && (word === "-" || !word.startsWith("-") || NEGATIVE_NUMBER.test(word))) {
      at++;
      return word;
    }
    const expects = "value" in arg && arg.value ? `: expected ${arg.value.expects}` : "";
    throw new CfnError("usage", `${as} needs a value${expects}`, word?.startsWith("-") ? `write ${as}=${word}` : "");
  };
  const bare = (name: string, arg: Arg, as: string): boolean => {
    if (arg.type === "boolean") put(name, arg, true, as);
    else if (arg.type === "string" && arg.bare) {
      const word = argv[at + 1];
      if (word !== undefined && arg.value?.read(word) !== undefined)
        throw new CfnError(
          "usage",
          `${as} ${word}: is ${shown(word)} its value?`,
          `write ${as}=${word}, or ${as} last`,
        );
      put(name, arg, true, as);
    } else return false;
    return true;
  };

  const long = (word: string): void => {
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const arg = find(name);
    if (arg === undefined) {
      const positive = name.startsWith("no-") ? find(name.slice(3)) : undefined;
      if (positive?.type !== "boolean" || positive.negativeDescription === undefined) throw unknown(`--${name}`);
      if (equals >= 0) throw new CfnError("usage", `--${name} takes no value`);
      return put(name.slice(3), positive, false, `--${name}`);
    }
    if (equals < 0) {
      if (!bare(name, arg, `--${name}`))
        put(name, arg, read(arg, nextWord(arg, `--${name}`), `--${name}`), `--${name}`);
    } else if (arg.type === "boolean") throw new CfnError("usage", `--${name} takes no value`);
    else put(name, arg, read(arg, word.slice(equals + 1), `--${name}`), `--${name}`);
  };
  const short = (word: string): void => {
    for (let letter = 1; letter < word.length; letter++) {
      const as = `-${word[letter]}`;
      const found = Object.entries(spec.args).find(([, arg]) => "alias" in arg && arg.alias === word[letter]);
      if (found === undefined) throw unknown(letter === 1 ? word : as);
      const [name, arg] = found;
      if (bare(name, arg, as)) continue;
      const glued = word.slice(letter + 1);
      return put(name, arg, read(arg, glued === "" ? nextWord(arg, as) : glued.replace(/^=/, ""), as), as);
    }
  };

  for (; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === "--") {
      if (spec.rest === undefined) positionals.push(...argv.slice(at + 1));
      else rest = argv.slice(at + 1);
      break;
    }
    if (word === "--help" || word === "-h") return { help: true };
    if (word === "-" || !word.startsWith("-")) positionals.push(word);
    else if (word.startsWith("--")) long(word);
    else short(word);
  }

  fill(spec, given, positionals, env);
  return { help: false, args: given as Values<A>, rest };
}

/** Gives the positionals their names, and what is absent its default. */
function fill(spec: Spec<Args>, given: Record<string, unknown>, positionals: string[], env: Env): void {
  for (const [name, arg] of Object.entries(spec.args)) {
    if (arg.type === "positional") {
      const label = name.toUpperCase();
      if (arg.required !== false && positionals.length === 0) throw new CfnError("usage", `${label} is missing`);
      if (arg.many) given[name] = positionals.splice(0).map((text) => read(arg, text, label));
      else if (positionals.length > 0) given[name] = read(arg, positionals.shift() as string, label);
    } else if (!Object.hasOwn(given, name)) {
      if (arg.type === "boolean") given[name] = arg.default ?? false;
      else if (arg.env !== undefined && env[arg.env]) given[name] = read(arg, env[arg.env] as string, arg.env);
      else if ("many" in arg && arg.many) given[name] = [];
    }
  }
  if (positionals.length > 0) {
    const remedy = spec.rest === undefined ? "" : `${spec.rest} goes after --`;
    throw new CfnError("usage", `unexpected argument ${shown(positionals[0] as string)}`, remedy);
  }
}
