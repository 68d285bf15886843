/**
 * `send --batch`: NDJSON from a file or stdin, never whole in memory. Lines are sent as they come, at most a block of them
 * at a time. A line that cannot be sent ends the command; those before it have been sent and printed.
 */
import type { Bus } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { parseBatchLine } from "../src/message/batch.ts";
import type { Draft } from "../src/message/message.ts";
import { closeFile, O, openFile } from "../src/os/file.ts";
import { errorText } from "../src/os/libc.ts";
import { lineBlocks } from "../src/os/lines.ts";
import { deliver, type OnAccepted } from "./deliver.ts";
import { unknownAgent } from "./join.ts";
import { Turns } from "./turns.ts";

interface Defaults {
  readonly from: string;
  readonly type: string;
  /** As for `deliver`. */
  readonly timeout: number | (() => number);
}

/** Throws malformed with the line's number and reason, not_found for a file or recipient, and what `deliver` throws. */
export async function sendBatchFile(bus: Bus, file: string, defaults: Defaults, onAccepted: OnAccepted): Promise<void> {
  const fd = file === "-" ? 0 : openFile(file, O.RDONLY);
  if (fd < 0) throw new CfnError("not_found", `cannot open the batch file ${file}: ${errorText(-fd)}`);
  const blocks = lineBlocks(fd, limits.batchLineBytes);
  // What one block has seen of a reader holds for the next.
  const turns = new Turns(bus);
  let lineNumber = 0;
  for (let block = blocks.next(); ; block = blocks.next()) {
    if (block.done) {
      if (block.value < 0) throw new CfnError("malformed", `cannot read the batch ${file}: ${errorText(-block.value)}`);
      break;
    }
    let drafts: Draft[] = [];
    const flush = async (): Promise<void> => {
      if (drafts.length > 0) await deliver(bus, drafts, defaults.timeout, onAccepted, turns);
      drafts = [];
    };
    for (const line of block.value) {
      lineNumber++;
      const parsed = parseBatchLine(line, defaults.from, defaults.type);
      if (parsed === undefined) continue;
      const refusal = "problem" in parsed ? badLine(lineNumber, parsed.problem) : missing(bus, parsed.value.to);
      if (refusal !== undefined) {
        await flush();
        throw refusal;
      }
      if ("value" in parsed) drafts.push(parsed.value);
      if (drafts.length === limits.batchBlockMessages) await flush();
    }
    await flush();
  }
  if (fd > 0) closeFile(fd);
}

const badLine = (lineNumber: number, problem: string): CfnError =>
  new CfnError("malformed", `line ${lineNumber} of the batch: ${problem}`, "the lines before it were sent");

const missing = (bus: Bus, to: string): CfnError | undefined => (bus.has(to) ? undefined : unknownAgent(bus, to));
