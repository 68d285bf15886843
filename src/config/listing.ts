/** What holds, and where it came from: `cfn config`. Pure. */
import type { Effective } from "./load.ts";
import { cellOf, type Origin, originText } from "./origin.ts";

/** A line per setting, in columns; ends with a newline. */
export function settingsTable(effective: readonly Effective[]): string {
  const rows = effective.map(({ setting, value, origin }) => [setting.key, cellOf(setting, value), originText(origin)]);
  const all = [["KEY", "VALUE", "FROM"], ...rows];
  const width = (column: number): number => Math.max(...all.map((row) => Bun.stringWidth(row[column] as string)));
  const [keys, values] = [width(0), Math.min(width(1), VALUE_COLUMNS_MOST)];
  return all
    .map(([key = "", value = "", from = ""]) => `${key.padEnd(keys)}  ${value.padEnd(values)}  ${from}\n`)
    .join("");
}

/** Longer values push what follows them to the right. */
const VALUE_COLUMNS_MOST = 40;

/** `cfn.config/1`. Values are as a file would have them; null where nothing is set and there is no default. */
export function settingsJson(effective: readonly Effective[]): object {
  const values = effective.map(({ setting, value, origin }) => {
    const { key, secret } = setting;
    const shown = secret === true && value !== undefined ? { value: null, hidden: true } : { value: value ?? null };
    return { key, ...shown, origin: originJson(origin) };
  });
  return { schema: "cfn.config/1", values };
}

function originJson(origin: Origin): object {
  if (origin.from !== "file") return origin;
  return { from: "file", file: origin.file, line: origin.line ?? null };
}
