/** Where a value came from, and how both are shown. Pure. */
import type { FileValue } from "./kinds.ts";
import type { Setting } from "./schema.ts";

export type Origin =
  | { readonly from: "default" }
  | { readonly from: "file"; readonly file: string; readonly line?: number | undefined }
  | { readonly from: "environment"; readonly variable: string }
  | { readonly from: "option"; readonly option: string };

const LONGEST = 80;

export function originText(origin: Origin): string {
  switch (origin.from) {
    case "default":
      return "default";
    case "file":
      return origin.line === undefined ? origin.file : `${origin.file} line ${origin.line}`;
    case "environment":
      return origin.variable;
    case "option":
      return origin.option;
  }
}

/** As a file could have it, cut where it is long; a table or list of lists by its kind, for it may be without end. */
function shownValue(value: unknown): string {
  const isText = (item: unknown): boolean => typeof item === "string";
  const isShown = value === null || typeof value !== "object" || (Array.isArray(value) && value.every(isText));
  if (!isShown) return Array.isArray(value) ? "(a list)" : "(a table)";
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text;
}

/** A key from outside: as it is where it is made of ordinary characters, which a terminal does not obey. */
export function shownKey(key: string): string {
  const text = key.length > LONGEST ? `${key.slice(0, LONGEST - 3)}...` : key;
  return /^[\w.$-]+$/.test(text) ? text : JSON.stringify(text);
}

/** The same for the value of a setting that nobody may see. */
export function shownSetting(setting: Setting | undefined, value: unknown): string {
  return setting?.secret === true ? "(hidden)" : shownValue(value);
}

/** For the table: without the quotes; what holds instead, in brackets, for none. */
export function cellOf(setting: Setting, value: FileValue | undefined): string {
  if (value === undefined) return `(${setting.unset})`;
  if (setting.secret === true) return "(hidden)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
