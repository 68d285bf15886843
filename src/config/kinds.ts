/**
 * The kinds of values that settings have: each a valibot schema of what a file may hold, with what the texts about it need
 * as metadata. A variable or an option gives text: `fromText` makes of it what the file would have held. Pure.
 */
import * as v from "valibot";
import {
  bytesPattern,
  durationPattern,
  formatBytes,
  formatDuration,
  parseBytes,
  parseDurationMs,
} from "../message/quantity.ts";
import { addressForm, parseAddress } from "../os/address.ts";

/** A value as a configuration file holds it. */
export type FileValue = string | number | boolean | readonly string[];

export interface KindFacts {
  /** Completes "expected …": the form and the range. */
  readonly expects: string;
  readonly reads: "text" | "number" | "boolean";
  /** The words it may be, where it is one of several. */
  readonly words?: readonly string[];
}

const facts = (
  expects: string,
  reads: KindFacts["reads"] = "text",
): { expects: string; reads: KindFacts["reads"] } => ({
  expects,
  reads,
});

export function integer(least: number, most: number) {
  const expects = `a whole number from ${least} to ${most}`;
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most), v.metadata(facts(expects, "number")));
}

export function decimal(least: number, most: number) {
  const expects = `a number from ${least} to ${most}`;
  return v.pipe(v.number(), v.finite(), v.minValue(least), v.maxValue(most), v.metadata(facts(expects, "number")));
}

/** A load average, or one for each core in percent: `90%` of four cores is 3.6. */
export const loadMark = (most: number) =>
  v.pipe(
    v.union([
      v.pipe(v.number(), v.minValue(0.01), v.maxValue(most)),
      v.pipe(v.string(), v.regex(/^(?!0*(?:\.0*)?%)[0-9]{1,6}(?:\.[0-9]{1,6})?%$/)),
    ]),
    v.transform((given) =>
      typeof given === "number"
        ? { most: given, perCore: false }
        : { most: Number.parseFloat(given) / 100, perCore: true },
    ),
    v.metadata(facts(`a number from 0.01 to ${most}, or P% of the cores`, "number")),
  );

export const truth = () => v.pipe(v.boolean(), v.metadata(facts("true or false", "boolean")));

export function choice<const W extends readonly string[]>(words: W) {
  return v.pipe(v.picklist(words), v.metadata({ expects: words.join(", "), reads: "text", words }));
}

/** A text with a unit, or a number of seconds. Reads as milliseconds. */
export function span(leastMs: number, mostMs: number) {
  const range = `from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`;
  return v.pipe(
    v.union([
      v.pipe(v.string(), v.regex(durationPattern)),
      v.pipe(v.number(), v.minValue(leastMs / 1000), v.maxValue(mostMs / 1000)),
    ]),
    v.transform((given) =>
      typeof given === "number" ? Math.round(given * 1000) : (parseDurationMs(given) ?? Number.NaN),
    ),
    v.minValue(leastMs),
    v.maxValue(mostMs),
    v.metadata(facts(`a duration ${range}, like 500ms, 5s, 2m or 8h`)),
  );
}

/** A text with a unit, or a number of bytes. Reads as bytes. */
export function size(least: number, most: number) {
  const range = `from ${formatBytes(least)} to ${formatBytes(most)}`;
  return v.pipe(
    v.union([
      v.pipe(v.string(), v.regex(bytesPattern)),
      v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most)),
    ]),
    v.transform((given) => (typeof given === "number" ? given : (parseBytes(given) ?? Number.NaN))),
    v.minValue(least),
    v.maxValue(most),
    v.metadata(facts(`a size ${range}, like 64KiB, 16MiB or 1GiB`)),
  );
}

export const absolutePath = () =>
  v.pipe(v.string(), v.regex(/^\/[^\0]*$/), v.metadata(facts("an absolute path, like /dev/shm/mine")));

/** A port alone is one of 127.0.0.1. */
export const address = () =>
  v.pipe(
    v.union([v.string(), v.number()]),
    v.transform((given) => parseAddress(String(given))),
    v.check((given) => given !== undefined),
    v.transform((given) => given as NonNullable<typeof given>),
    v.metadata(facts(addressForm)),
  );

/** A text is a shell's command. Reads as the words of the command. */
export function command() {
  const word = v.pipe(v.string(), v.regex(/^[^\0]*$/));
  return v.pipe(
    v.union([v.pipe(word, v.nonEmpty()), v.pipe(v.array(word), v.nonEmpty())]),
    v.check((given) => given[0] !== ""),
    v.transform((given): readonly string[] => (typeof given === "string" ? ["sh", "-c", given] : given)),
    v.metadata(facts("a command: a text for sh -c, or a list of its words; not empty, without NUL")),
  );
}

/** What goes into an HTTP header as it stands. */
export const token = (least: number, most: number) =>
  v.pipe(
    v.string(),
    v.minLength(least),
    v.maxLength(most),
    v.regex(/^[!-~]*$/),
    v.metadata(facts(`${least} to ${most} ASCII characters without a space`)),
  );

const NUMBER = /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/;
const TRUTHS: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false };

/** What a file would hold for this text; the text itself where it is none of that kind, so that the schema refuses it. */
export function fromText(text: string, reads: KindFacts["reads"]): FileValue {
  if (reads === "number" && NUMBER.test(text)) return Number(text);
  if (reads === "boolean") return TRUTHS[text] ?? text;
  return text;
}
