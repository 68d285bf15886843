/** Numbers, durations and sizes as people type and read them. Pure. */

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const UNIT_BYTES: Record<string, number> = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

const WHOLE = /^[0-9]{1,15}$/;
const DURATION = /^([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h)?$/;
const SIZE = /^([0-9]{1,15}(?:\.[0-9]{1,6})?)(KiB|MiB|GiB)?$/;

/** A whole number from 0, in digits only: no sign, no point, no exponent. Undefined where the text is none. */
export function parseWhole(text: string): number | undefined {
  return WHOLE.test(text) ? Number(text) : undefined;
}

/** `500ms`, `1.5s`, `2m`, `8h`; without a unit, seconds. Whole milliseconds; undefined where the text is none. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? "s"] as number));
}

/** `64KiB`, `1.5MiB`, `2GiB`; without a unit, bytes. Whole bytes; undefined where the text is none. */
export function parseBytes(text: string): number | undefined {
  const match = SIZE.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * (UNIT_BYTES[match[2] ?? ""] as number));
}

/** In the largest unit that divides it: 5000 is "5s", 90000 is "90s", 1500 is "1500ms". */
export function formatDuration(ms: number): string {
  const unit = ["h", "m", "s"].find((name) => ms > 0 && ms % (UNIT_MS[name] as number) === 0) ?? "ms";
  return `${ms / (UNIT_MS[unit] as number)}${unit}`;
}

/** In the largest unit that divides it: 1048576 is "1MiB", 1000 is "1000". */
export function formatBytes(bytes: number): string {
  const unit = ["GiB", "MiB", "KiB"].find((name) => bytes > 0 && bytes % (UNIT_BYTES[name] as number) === 0) ?? "";
  return `${bytes / (UNIT_BYTES[unit] as number)}${unit}`;
}
