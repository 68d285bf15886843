/** What each source says, and what is wrong with that by itself. */
import { CfnError } from "../errors.ts";
import { nearest } from "../message/nearest.ts";
import { type ConfigText, parseConfig } from "./file.ts";
import { type FileValue, fromText } from "./kinds.ts";
import { lineOfError, linesOfKeys } from "./lines.ts";
import { type Origin, originText, shownKey, shownSetting } from "./origin.ts";
import { findSetting, type Setting, type SettingKey, sections, settingList, settingNamed } from "./schema.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** One value of one setting, from one source. Checked, but as the source has it. */
export interface Given {
  readonly setting: Setting;
  readonly value: FileValue;
  readonly origin: Origin;
}

export interface Source {
  readonly given: readonly Given[];
  /** A sentence each. */
  readonly problems: readonly string[];
}

/** Checks one value. */
function check(setting: Setting, value: unknown, origin: Origin): Given | string {
  if (setting.accepts(value)) return { setting, value: value as FileValue, origin };
  const shown = shownSetting(setting, value);
  return `${setting.key} ${shown} (${originText(origin)}): expected ${setting.expects}`;
}

const sourceOf = (checked: readonly (Given | string)[]): Source => ({
  given: checked.filter((one) => typeof one !== "string"),
  problems: checked.filter((one) => typeof one === "string"),
});

/**
 * A configuration file. Throws CfnError("usage") for one that cannot be parsed. `located`: every value knows its line, which costs
 * a parse for each line; what is wrong always does.
 */
export function fileSource({ path, text }: ConfigText, located: boolean): Source {
  const parse = (beginning: string): unknown => parseConfig(path, beginning);
  const document = parseWhole(path, text, parse);
  let found: ReadonlyMap<string, number> | undefined;
  const originOf = (key: string): Origin => {
    found ??= linesOfKeys(text, parse);
    return { from: "file", file: path, line: found.get(key) };
  };
  const checked = flattened(document, path).map(({ key, value }): Given | string => {
    const setting = findSetting(key);
    if (setting === undefined) return unknownKey(key, value, originOf(key));
    const given = check(setting, value, located ? originOf(key) : { from: "file", file: path });
    return typeof given === "string" ? (check(setting, value, originOf(key)) as string) : given;
  });
  return sourceOf(checked);
}

function parseWhole(path: string, text: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof CfnError) throw error;
    const line = lineOfError(text, parse);
    const where = line === undefined ? path : `${path} line ${line}`;
    throw new CfnError("usage", `the configuration ${where}: ${error instanceof Error ? error.message : error}`);
  }
}

/** `key` is "section.name", or the name alone of what stands outside any section or is no table where one should be. */
function flattened(document: unknown, path: string): { key: string; value: unknown }[] {
  if (document === null || document === undefined) return [];
  if (!isTable(document)) throw new CfnError("usage", `the configuration ${path} is not a table of sections`);
  return Object.entries(document).flatMap(([section, table]) => {
    // By it editors know what to offer.
    if (section === "$schema") return [];
    // A section of YAML with nothing below it.
    if (table === null && Object.hasOwn(sections, section)) return [];
    if (!isTable(table)) return [{ key: section, value: table }];
    const entries = Object.entries(table).map(([name, value]) => ({ key: `${section}.${name}`, value }));
    return entries.length === 0 && !Object.hasOwn(sections, section) ? [{ key: section, value: table }] : entries;
  });
}

const isTable = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const NAMED_MOST = 3;

function unknownKey(key: string, value: unknown, origin: Origin): string {
  const where = originText(origin);
  if (Object.hasOwn(sections, key)) {
    return `${key} ${shownSetting(undefined, value)} (${where}): expected a table, as in [${key}]`;
  }
  const keys = settingList.map((setting) => setting.key);
  const name = key.slice(key.lastIndexOf(".") + 1);
  const namesakes = settingList.filter((setting) => setting.name === name).map((setting) => setting.key);
  const tables = nearest(key, Object.keys(sections)).map((section) => `[${section}]`);
  const near = [...new Set<string>([...nearest(key, keys), ...namesakes, ...tables])].slice(0, NAMED_MOST);
  const hint = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
  return `unknown key ${shownKey(key)} (${where})${hint}`;
}

/** What an earlier execution of a run had from its file. Throws CfnError("usage") for a key that is none any more. */
export function recordedSource(file: string, values: Readonly<Record<string, unknown>>): Source {
  const checked = Object.entries(values).map(([key, value]): Given | string => {
    const setting = findSetting(key);
    const origin: Origin = { from: "file", file };
    return setting === undefined ? unknownKey(key, value, origin) : check(setting, value, origin);
  });
  return sourceOf(checked);
}

/** The variables. An empty one counts as absent. */
export function environmentSource(env: Env): Source {
  const checked = settingList.flatMap((setting) => {
    const variable = setting.variables.find((name) => env[name]);
    if (variable === undefined) return [];
    const text = env[variable] as string;
    const given = check(setting, fromText(text, setting.reads), { from: "environment", variable });
    // As it was typed: not the number that it may look like.
    return typeof given === "string" ? [check(setting, text, { from: "environment", variable })] : [given];
  });
  return sourceOf(checked);
}

/** The options, which were checked when they were read. */
export function optionSource(options: ReadonlyMap<SettingKey, FileValue>): Source {
  const checked = [...options].map(([key, value]) => {
    const setting = settingNamed(key);
    return check(setting, value, { from: "option", option: setting.option ?? key });
  });
  return sourceOf(checked);
}

/** Variables that look like a misspelt one of a setting, with what may have been meant. */
export function misspeltVariables(env: Env): { readonly variable: string; readonly near: readonly string[] }[] {
  const known = settingList.flatMap((setting) => setting.variables);
  return Object.keys(env).flatMap((variable) => {
    if (!/^(CFN_|MAX_INBOX)/.test(variable) || known.includes(variable) || others.has(variable)) return [];
    const near = nearest(variable, known);
    return near.length === 0 ? [] : [{ variable, near }];
  });
}

/** Those of an agent: not settings, and not meant as such. */
const others: ReadonlySet<string> = new Set(
  ["RUN_ID", "AGENT_ID", "COORDINATOR_ID", "TASK_ID", "TASK", "ATTEMPT", "BUS_DIR"].map((name) => `CFN_${name}`),
);
