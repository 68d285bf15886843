/** The kinds of option values. Each says what it expects, so that a refusal always names the form and the range. */
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { senderOf } from "../src/message/ids.ts";
import { isAgentId, isMessageType } from "../src/message/message.ts";
import { formatBytes, formatDuration, parseBytes, parseDurationMs, parseWhole } from "../src/message/quantity.ts";
import type { Arg, ValueType } from "./command.ts";

const within = (value: number | undefined, least: number, most: number): number | undefined =>
  value !== undefined && value >= least && value <= most ? value : undefined;

export function whole(least: number, most: number): ValueType<number> {
  return {
    get expects() {
      return `a whole number from ${least} to ${most}`;
    },
    read: (text) => within(parseWhole(text), least, most),
  };
}

/** Reads as milliseconds. */
export function duration(leastMs = 0, mostMs: number = limits.timeoutMsMax): ValueType<number> {
  return {
    get expects() {
      return `a duration from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}, like 500ms, 5s, 2m or 8h`;
    },
    read: (text) => within(parseDurationMs(text), leastMs, mostMs),
  };
}

/** Reads as bytes. */
export function size(leastBytes: number, mostBytes: number): ValueType<number> {
  return {
    get expects() {
      return `a size from ${formatBytes(leastBytes)} to ${formatBytes(mostBytes)}, like 512MiB or 2GiB`;
    },
    read: (text) => within(parseBytes(text), leastBytes, mostBytes),
  };
}

/** A number with decimals, or with % behind it that share of `whole`. */
export function decimal(most: number, whole?: () => number): ValueType<number> {
  const percent = whole === undefined ? "" : ", or P% of the cores";
  return {
    expects: `a number above 0, at most ${most}${percent}`,
    read: (text) => {
      const match = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)(%?)$/.exec(text);
      if (match === null || (match[2] === "%" && whole === undefined)) return undefined;
      const value = match[2] === "%" ? ((whole?.() ?? 0) * Number(match[1])) / 100 : Number(match[1]);
      return value > 0 ? within(value, 0, most) : undefined;
    },
  };
}

export const agentId: ValueType<string> = {
  expects: `an agent id: a-z, 0-9, _ and -, at most ${limits.agentIdChars}, beginning with a letter or digit`,
  read: (text) => (isAgentId(text) ? text : undefined),
};

export const messageType: ValueType<string> = {
  expects: `a word of letters, digits and _.:/-, at most ${limits.typeChars}`,
  read: (text) => (isMessageType(text) ? text : undefined),
};

export const messageId: ValueType<string> = {
  expects: "a message id, as send prints it and recv shows it in msg_id",
  read: (text) => (senderOf(text) === undefined ? undefined : text),
};

/** A file or directory name: not empty, no NUL. */
export const path: ValueType<string> = {
  expects: "a path: not empty, without NUL",
  read: (text) => (text === "" || text.includes("\0") ? undefined : text),
};

export const runId: ValueType<string> = {
  expects: "a run's id or its beginning: a-z and 0-9",
  read: (text) => (/^[a-z0-9]{1,63}$/.test(text) ? text : undefined),
};

/** Shows a value in a message: quoted, control characters escaped, long ones cut. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/** Reads the text given for `name`, or throws CfnError("usage") with the name, the text and what was expected. */
export function readValue(arg: Arg, text: string, name: string): unknown {
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
