/** The copy of a list that came by a pipe (`journal.ts`), read again by the run that is resumed. */
import { CfnError } from "../errors.ts";
import { closeFile, fileSize, O, openFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { truncateFile } from "../os/truncate.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import type { TaskCopy } from "./source.ts";
import { taskFormat } from "./tasks.ts";

export interface Replay {
  readonly copy: TaskCopy;
  /** What to say where the list had not been read to its end. */
  readonly warning: string | undefined;
}

const SPACE = 32;
/** Enough to tell a blank line. */
const LINE_BYTES = 4096;

/**
 * The copy in the folder `path`. `inputBytes`: how many bytes the whole list had; undefined where its end was never read:
 * then a last line that had come half is cut off.
 *
 * @throws CfnError malformed, where there is no copy
 */
export function replayOf(path: string, name: string, hasCommand: boolean, inputBytes: number | undefined): Replay {
  const replayed = `${path}/tasks`;
  const fd = openFile(replayed, O.RDWR | O.NOFOLLOW);
  if (fd < 0) throw new CfnError("malformed", `cannot read the copy of the task list ${replayed}: ${errorText(-fd)}`);
  try {
    const bytes = fileSize(fd);
    if (inputBytes !== undefined) {
      if (bytes >= inputBytes) return { copy: { replayed }, warning: undefined };
      const lost = new CfnError(
        "malformed",
        `the copy of the task list ${replayed} has only ${bytes} of ${inputBytes} bytes left`,
        "what it still has was run; give the other tasks to a new run",
      );
      return { copy: { replayed, lost }, warning: undefined };
    }
    let tasks = 0;
    const whole = visitWholeLines(fd, LINE_BYTES, (line) => {
      if (line.some((byte) => byte > SPACE)) tasks++;
    });
    const format = taskFormat(name, hasCommand);
    const inLines = format === "lines" || format === "jsonl";
    if (inLines && bytes > whole) truncateFile(fd, whole);
    const read = inLines ? `${tasks} tasks` : `${bytes} bytes`;
    return {
      copy: { replayed },
      warning: `the task list came by a pipe and had not been read to its end: ${read} had been read, the rest was never accepted`,
    };
  } finally {
    closeFile(fd);
  }
}
