/**
 * In which line of a configuration file a key stands. Bun's parsers do not say, so they are asked about the beginnings of the
 * text: a key stands in the first line with which it is there. What does not parse is wrong behind the longest beginning that
 * does. Only for what is shown to people: it parses the text once for each line. Pure.
 */
import { limits } from "../limits.ts";

export type Parse = (text: string) => unknown;

/** Lines by "section.name", and by "section"; empty for a text of very many lines. */
export function linesOfKeys(text: string, parse: Parse): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  forBeginnings(text, parse, (document, line) => {
    for (const key of keysOf(document)) if (!found.has(key)) found.set(key, line);
  });
  return found;
}

/** The line in which what cannot be parsed begins; undefined for a text of very many lines. */
export function lineOfError(text: string, parse: Parse): number | undefined {
  let good = 0;
  const count = forBeginnings(text, parse, (_, line) => {
    good = line;
  });
  return count === 0 ? undefined : Math.min(good + 1, count);
}

/** Calls `visit` for each that parses; returns the number of lines, 0 where there are too many. */
function forBeginnings(text: string, parse: Parse, visit: (document: unknown, line: number) => void): number {
  const lines = text.split("\n");
  if (lines.length > limits.configLinesLocated) return 0;
  for (let line = 1; line <= lines.length; line++) {
    const document = tryParse(closed(lines.slice(0, line).join("\n")), parse);
    if (document !== undefined) visit(document, line);
  }
  return text.endsWith("\n") ? lines.length - 1 : lines.length;
}

function tryParse(text: string, parse: Parse): unknown {
  try {
    return parse(text);
  } catch {
    return undefined; // The beginning ends within a value: a later one will have it.
  }
}

/** The beginning of a JSON text with the brackets that it leaves open; any other text as it is. */
function closed(text: string): string {
  if (!/^\s*\{/.test(text)) return text;
  const open: string[] = [];
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, (string) => "-".repeat(string.length));
  for (const character of bare) {
    if (character === "{") open.push("}");
    else if (character === "[") open.push("]");
    else if (character === "}" || character === "]") open.pop();
  }
  return text.replace(/,?\s*$/, "") + open.reverse().join("");
}

function keysOf(document: unknown): string[] {
  if (typeof document !== "object" || document === null) return [];
  return Object.entries(document).flatMap(([section, table]) =>
    typeof table === "object" && table !== null && !Array.isArray(table)
      ? [section, ...Object.keys(table).map((name) => `${section}.${name}`)]
      : [section],
  );
}
