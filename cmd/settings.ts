/** Settings as options of a command: defined by the schema, read as it says. */
import { type FileValue, fromText } from "../src/config/kinds.ts";
import { type SettingKey, settingNamed } from "../src/config/schema.ts";
import type { Arg, Args } from "./command.ts";
import { path } from "./values.ts";

export const configOption = {
  type: "string",
  valueHint: "FILE",
  description: "settings, instead of ~/.config/cfn/config.toml: see cfn config",
  value: path,
} as const;

/** The option of a setting: its name without the section, with dashes. What it gives is what a file would hold. */
export function optionOf(key: SettingKey): Arg & { readonly setting: SettingKey } {
  const { about, fallback, unset, hint = "", words, expects, reads, accepts, rare } = settingNamed(key);
  const description = `${about} (${fallback ?? unset})`;
  const shape = { description, setting: key, ...(rare === undefined ? {} : { rare }) };
  if (words !== undefined) return { ...shape, type: "enum", options: words };
  const read = (text: string): FileValue | undefined => {
    const value = fromText(text, reads);
    return accepts(value) ? value : undefined;
  };
  return { ...shape, type: "string", valueHint: hint, value: { expects, read } };
}

/** What the options said, by setting. */
export function optionsGiven(
  definitions: Args,
  values: Readonly<Record<string, unknown>>,
): ReadonlyMap<SettingKey, FileValue> {
  const given = new Map<SettingKey, FileValue>();
  for (const [name, arg] of Object.entries(definitions)) {
    const value = values[name];
    if ("setting" in arg && arg.setting !== undefined && value !== undefined) {
      given.set(arg.setting, value as FileValue);
    }
  }
  return given;
}
