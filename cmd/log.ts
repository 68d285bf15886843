/**
 * What is said on stderr. consola takes 15 ms to load, three times a whole `cfn send`: it is loaded when there is
 * something to say. Its reporter is ours, so both its streams are stderr and colour needs a terminal.
 */
import { limits } from "../src/limits.ts";
import { pollFile, writeAll } from "../src/os/file.ts";
import { isTerminal } from "../src/os/terminal.ts";

type Level = "error" | "warn" | "info";

const POLLOUT = 4;

const COLOUR: Record<Level, string> = { error: "31", warn: "33", info: "36" };

/** Nobody reads stderr. */
let stuck = false;

/** Dropped where nobody reads: a run that is to end must not wait for a full pipe. */
function write(line: string): void {
  stuck = !pollFile(2, POLLOUT, stuck ? 0 : limits.logWaitMs);
  if (!stuck) writeAll(2, new TextEncoder().encode(line));
}

/** Says it as `cfn: error: text`, further lines as they are. Written out when the promise resolves. */
export async function say(level: Level, text: string): Promise<void> {
  const { createConsola } = await import("consola/core");
  const coloured = isTerminal(2) && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  const word = coloured ? `\x1b[${COLOUR[level]}m${level}\x1b[39m` : level;
  const log = createConsola({
    level: 3,
    throttle: 0,
    reporters: [{ log: ({ args }) => write(`cfn: ${word}: ${args.join(" ")}\n`) }],
  });
  log[level](text);
}
