/**
 * Settings from all their sources: defaults < configuration file < variables < options. Every source is checked by itself, also
 * where another one has the last word, then what they make together.
 */
import * as v from "valibot";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Contradiction, contradictions } from "./contradictions.ts";
import { defaultConfigPath, readConfig } from "./file.ts";
import type { FileValue } from "./kinds.ts";
import { type Origin, originText, shownSetting } from "./origin.ts";
import { type Setting, type SettingKey, type Settings, settingList, settingNamed, settingsSchema } from "./schema.ts";
import { environmentSource, fileSource, type Given, optionSource, recordedSource, type Source } from "./sources.ts";

/** What a run had from its file, for the run that resumes it. */
export interface RecordedFile {
  readonly file: string;
  /** By key. A secret is not among them: it is read from the file again. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly secrets: readonly string[];
}

export interface SettingSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly options?: ReadonlyMap<SettingKey, FileValue>;
  /** `--config`: it must be there. Absent: the default file, where there is one. */
  readonly file?: string | undefined;
  /** Instead of any file. */
  readonly recorded?: RecordedFile | undefined;
  /** Origins in files have their line. */
  readonly located?: boolean;
}

/** One line of `cfn config`. */
export interface Effective {
  readonly setting: Setting;
  /** As a file would have it; undefined where nobody sets it and there is no default. */
  readonly value: FileValue | undefined;
  readonly origin: Origin;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Of every setting, in the order of the schema. */
  readonly effective: readonly Effective[];
  /** What the file said, undefined without one. */
  readonly recorded: RecordedFile | undefined;
}

const none: Source = { given: [], problems: [] };

/**
 * @throws CfnError usage, naming every key that is wrong with its value, its limit and where it came from; not_found for a
 * `--config` that is not there; refused for one that may not be read
 */
export function loadSettings(sources: SettingSources): LoadedSettings {
  const { env, options = new Map(), file, recorded } = sources;
  const path = recorded?.file ?? file ?? defaultConfigPath(env);
  const fromFile = recorded === undefined ? readSource(path, file !== undefined, sources.located) : resumed(recorded);
  const all = [fromFile, environmentSource(env), optionSource(options)];
  const problems = all.flatMap((source) => source.problems);
  if (problems.length > 0) throw refusal(problems, "cfn config reference lists every key");
  const given = new Map(all.flatMap((source) => source.given).map((one) => [one.setting.key, one]));
  const settings = v.parse(settingsSchema, nested(given.values()));
  const effective = settingList.map((setting): Effective => {
    const { value = setting.fallback, origin = { from: "default" } as const } = given.get(setting.key) ?? {};
    return { setting, value, origin };
  });
  const conflicts = contradictions(settings, (key) => given.has(key));
  if (conflicts.length > 0) {
    // Only now somebody wants to know in which lines they are.
    if (recorded === undefined && sources.located !== true) return loadSettings({ ...sources, located: true });
    const remedy = conflicts.length === 1 ? (conflicts[0] as Contradiction).remedy : "";
    throw refusal(
      conflicts.map((conflict) => conflictText(conflict, effective)),
      remedy,
    );
  }
  return { settings, effective, recorded: path === undefined ? undefined : recordOf(path, fromFile) };
}

function readSource(path: string | undefined, isWanted: boolean, located = false): Source {
  const text = path === undefined ? undefined : readConfig(path);
  if (text !== undefined) return fileSource(text, located);
  if (isWanted) throw new CfnError("not_found", `there is no configuration file ${path}`);
  return none;
}

function resumed({ file, values, secrets }: RecordedFile): Source {
  const { given, problems } = recordedSource(file, values);
  const again = secrets.length === 0 ? none : readSource(file, true);
  return { given: [...given, ...again.given.filter(({ setting }) => secrets.includes(setting.key))], problems };
}

function recordOf(file: string, { given }: Source): RecordedFile | undefined {
  if (given.length === 0) return undefined;
  const [open, secret] = [false, true].map((isSecret) =>
    given.filter(({ setting }) => (setting.secret === true) === isSecret),
  ) as [Given[], Given[]];
  return {
    file,
    values: Object.fromEntries(open.map(({ setting, value }) => [setting.key, value])),
    secrets: secret.map(({ setting }) => setting.key),
  };
}

function nested(given: Iterable<Given>): Record<string, Record<string, FileValue>> {
  const document: Record<string, Record<string, FileValue>> = {};
  for (const { setting, value } of given) {
    document[setting.section] = { ...document[setting.section], [setting.name]: value };
  }
  return document;
}

function conflictText({ keys, why }: Contradiction, effective: readonly Effective[]): string {
  const named = keys.map((key) => {
    const { value, origin } = effective.find(({ setting }) => setting.key === key) as Effective;
    const shown = value === undefined ? "not set" : shownSetting(settingNamed(key), value);
    return `${key} ${shown} (${originText(origin)})`;
  });
  return `${named.join(" and ")}${named.length > 1 ? " contradict each other" : ""}: ${why}`;
}

/** One sentence as it is, several below each other. */
function refusal(sentences: readonly string[], remedy: string): CfnError {
  if (sentences.length === 1) return new CfnError("usage", sentences[0] as string, remedy);
  const most = limits.configProblemsListed;
  const more = sentences.length > most ? [`and ${sentences.length - most} more`] : [];
  const lines = [...sentences.slice(0, most), ...more].map((sentence) => `\n  ${sentence}`).join("");
  return new CfnError("usage", `${sentences.length} things are wrong with the configuration:${lines}`, remedy);
}
