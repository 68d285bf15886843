/**
 * The shape of a subcommand. One file per subcommand exports one `<name>Command`; `commands.ts` names them all. The argument
 * definitions are citty's, which renders the help, and a little more. `argv.ts` reads the command line by them, strictly.
 */
import type { BooleanArgDef, EnumArgDef, PositionalArgDef, StringArgDef } from "citty";
import type { Env } from "../src/bus/directory.ts";
import type { SettingKey } from "../src/config/schema.ts";
import type { ValueType } from "./values.ts";

interface Reads {
  /** Without it the value is the text as it stands. */
  readonly value?: ValueType<unknown>;
}

/** One source among others of a setting (`settings.ts`); a rare one stands in the help on a line with others. */
type Sets = { readonly setting?: SettingKey; readonly rare?: true };

/** Positionals are filled in order; one with `required: false` may be absent, one with `many` takes all that remain. */
type Positional = Readonly<Omit<PositionalArgDef, "default" | "type">> &
  Reads & {
    readonly type: "positional";
    readonly many?: true;
    /** The variable that stands in where it is absent. */
    readonly env?: string;
  };

/** False unless given; `--no-<name>` is there only with a `negativeDescription`. */
type Flag = Readonly<Omit<BooleanArgDef, "type" | "required" | "alias">> & {
  readonly type: "boolean";
  readonly alias?: string;
};

type Option = Readonly<Omit<StringArgDef, "default" | "type" | "required" | "alias">> &
  Reads &
  Sets & {
    readonly type: "string";
    /** One letter. */
    readonly alias?: string;
    /** The variable that stands in where the option is absent; an empty one counts as absent. */
    readonly env?: string;
    /** May be repeated; without it a second one is refused. */
    readonly many?: true;
    /** `--name` alone is allowed and reads as true; a value is given only by `--name=value`. */
    readonly bare?: true;
  };

type Choice = Readonly<Omit<EnumArgDef, "default" | "type" | "required" | "options" | "alias">> &
  Sets & {
    readonly type: "enum";
    readonly alias?: string;
    readonly options: readonly string[];
    readonly env?: string;
  };

export type Arg = Positional | Flag | Option | Choice;

/** Keys are the names as typed, without the dashes: `"keep-order"`. */
export type Args = Readonly<Record<string, Arg>>;

type Read<A> = A extends { readonly value: ValueType<infer T> } ? T : string;

type ValueOf<A> = A extends { readonly type: "boolean" }
  ? boolean
  : A extends { readonly type: "enum"; readonly options: readonly (infer T)[] }
    ? T | undefined
    : A extends { readonly many: true }
      ? Read<A>[]
      : A extends { readonly bare: true }
        ? Read<A> | true | undefined
        : A extends { readonly type: "positional"; readonly required: false }
          ? Read<A> | undefined
          : A extends { readonly type: "positional" }
            ? Read<A>
            : Read<A> | undefined;

export type Values<A extends Args> = { readonly [K in keyof A]: ValueOf<A[K]> };

export interface Context<A extends Args> {
  readonly args: Values<A>;
  /** What stood after `--`; always empty unless the command declares `rest`. */
  readonly rest: readonly string[];
  readonly env: Env;
  /** What stood after the command's name, as typed. */
  readonly words: readonly string[];
}

export interface Command<A extends Args = Args> {
  readonly meta: { readonly name: string; readonly description: string; readonly hidden?: boolean };
  readonly args: A;
  /** What stands after `--`, as the usage line shows it: "COMMAND [ARG]...". Without it `--` only ends the options. */
  readonly rest?: string;
  /** Ends the help; works as printed. */
  readonly example: string;
  /** Called before `run` by a command whose process must not outlive an error that nobody caught; see `bug.ts`. */
  readonly guard?: (report: (error: unknown) => Promise<number>) => void;
  /** Returns the exit status. A CfnError thrown becomes its message and its code's status; anything else is a bug, 70. */
  run(context: Context<A>): number | Promise<number>;
}
