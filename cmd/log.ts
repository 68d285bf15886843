/**
 * What is said on stderr. consola takes 15 ms to load, three times a whole `cfn send`: it is loaded when there is
 * something to say. Its reporter is ours, so both its streams are stderr and colour needs a terminal.
 */
import { writeAll } from "../src/os/file.ts";
import { isTerminal } from "../src/os/terminal.ts";

type Level = "error" | "warn" | "info";

const COLOUR: Record<Level, string> = { error: "31", warn: "33", info: "36" };

/** Says it as `cfn: error: text`, further lines as they are. Written out when the promise resolves. */
export async function say(level: Level, text: string): Promise<void> {
  const { createConsola } = await import("consola/core");
  const coloured = isTerminal(2) && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  const word = coloured ? `\x1b[${COLOUR[level]}m${level}\x1b[39m` : level;
  const log = createConsola({
    level: 3,
    throttle: 0,
    reporters: [{ log: ({ args }) => void writeAll(2, new TextEncoder().encode(`cfn: ${word}: ${args.join(" ")}\n`)) }],
  });
  log[level](text);
}
