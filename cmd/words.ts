import { CfnError } from "../src/errors.ts";
import type { Arg, Args } from "./command.ts";
import { UnknownName } from "./unknown.ts";
import { readValue, shown } from "./values.ts";

const NEGATIVE_NUMBER = /^-\.?[0-9]/;

/** The words of a command line, taken one by one; options are read into `given` by their definitions. */
export class Words {
  readonly given: Record<string, unknown> = {};
  private at = 0;

  constructor(
    private readonly argv: readonly string[],
    private readonly args: Args,
  ) {}

  next(): string | undefined {
    return this.argv[this.at++];
  }

  remaining(): readonly string[] {
    return this.argv.slice(this.at);
  }

  long(word: string): void {
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const as = `--${name}`;
    const arg = this.find(name);
    const negated = arg === undefined && name.startsWith("no-") ? this.find(name.slice(3)) : undefined;
    if (equals >= 0 && (arg ?? negated)?.type === "boolean") throw new CfnError("usage", `${as} takes no value`);
    if (negated?.type === "boolean" && negated.negativeDescription) this.put(name.slice(3), negated, false, as);
    else if (arg === undefined) throw this.unknown(as);
    else this.take(name, arg, as, equals < 0 ? undefined : word.slice(equals + 1));
  }

  /** One letter after another: flags, until one takes the remainder as its value. */
  short(word: string): void {
    for (let letter = 1; letter < word.length; letter++) {
      const as = `-${word[letter]}`;
      const found = Object.entries(this.args).find(([, arg]) => "alias" in arg && arg.alias === word[letter]);
      if (found === undefined) throw this.unknown(letter === 1 ? word : as);
      const [name, arg] = found;
      if (arg.type === "boolean") {
        this.put(name, arg, true, as);
        continue;
      }
      const glued = word.slice(letter + 1);
      this.take(name, arg, as, glued === "" ? undefined : glued.replace(/^=/, ""));
      return;
    }
  }

  /** An option with its value: the text given with it, else the next word where it takes one. */
  private take(name: string, arg: Arg, as: string, text: string | undefined): void {
    if (text !== undefined) this.put(name, arg, readValue(arg, text, as), as);
    else if (arg.type === "boolean") this.put(name, arg, true, as);
    else if (arg.type === "string" && arg.bare) {
      const word = this.argv[this.at];
      if (word !== undefined && arg.value?.read(word) !== undefined)
        throw new CfnError(
          "usage",
          `${as} ${word}: is ${shown(word)} its value?`,
          `write ${as}=${word}, or ${as} last`,
        );
      this.put(name, arg, true, as);
    } else this.put(name, arg, readValue(arg, this.value(arg, as), as), as);
  }

  private value(arg: Arg, as: string): string {
    const word = this.argv[this.at];
    if (word !== undefined && (word === "-" || !word.startsWith("-") || NEGATIVE_NUMBER.test(word))) {
      this.at++;
      return word;
    }
    const expects = "value" in arg && arg.value ? `: expected ${arg.value.expects}` : "";
    throw new CfnError("usage", `${as} needs a value${expects}`, word === undefined ? "" : `write ${as}=VALUE`);
  }

  private put(name: string, arg: Arg, value: unknown, as: string): void {
    const before = Object.hasOwn(this.given, name) ? this.given[name] : undefined;
    if ("many" in arg && arg.many) this.given[name] = [...((before as unknown[] | undefined) ?? []), value];
    else if (before !== undefined) throw new CfnError("usage", `${as} is given more than once`);
    else this.given[name] = value;
  }

  private find(name: string): Arg | undefined {
    const arg = Object.hasOwn(this.args, name) ? this.args[name] : undefined;
    return arg?.type === "positional" ? undefined : arg;
  }

  private unknown(option: string): UnknownName {
    const names = Object.keys(this.args).filter((name) => this.find(name));
    const remedy = option.startsWith("--") ? "" : "an argument that begins with - goes after --";
    return new UnknownName("usage", "option", option, [...names.map((name) => `--${name}`), "--help"], remedy);
  }
}
