/**
 * Ends agents whose output grows beyond the limit. Looking at every file of thousands of agents several times a second would
 * cost more than the agents' messages, so the free space of the file system is watched (one system call) and the files are
 * looked at only when it has shrunk a good deal, and now and then in any case.
 */
import { fileSystemSpace, statPath } from "../os/file.ts";

export interface OutputFiles {
  readonly out: string;
  readonly err: string;
}

/** Ticks between two looks at every file though the space has not shrunk: somebody else may free what an agent fills. */
const TICKS_BETWEEN_LOOKS = 25;
const SHRUNK_BYTES_MOST = 16 * 1024 * 1024;

export const fileBytes = (path: string): number => statPath(path)?.bytes ?? 0;

export class FloodGuard {
  readonly #spool: string;
  readonly #outputBytesMax: number;
  readonly #shrunkBytes: number;
  #freeBytes: number;
  #ticks = 0;

  constructor(spool: string, outputBytesMax: number) {
    this.#spool = spool;
    this.#outputBytesMax = outputBytesMax;
    this.#shrunkBytes = Math.min(outputBytesMax / 4, SHRUNK_BYTES_MOST);
    this.#freeBytes = fileSystemSpace(spool)?.freeBytes ?? 0;
  }

  /** True if it is time to look at the files of all live agents. Call it once per tick. */
  tick(): boolean {
    const freeBytes = fileSystemSpace(this.#spool)?.freeBytes ?? 0;
    this.#ticks++;
    if (this.#freeBytes - freeBytes < this.#shrunkBytes && this.#ticks < TICKS_BETWEEN_LOOKS) {
      this.#freeBytes = Math.max(this.#freeBytes, freeBytes);
      return false;
    }
    this.#freeBytes = freeBytes;
    this.#ticks = 0;
    return true;
  }

  /** Why these files are too long; undefined if they are not. */
  excess(files: OutputFiles): string | undefined {
    for (const [stream, path] of [
      ["stdout", files.out],
      ["stderr", files.err],
    ] as const) {
      if (fileBytes(path) > this.#outputBytesMax) return excessText(stream, this.#outputBytesMax);
    }
    return undefined;
  }
}

export const excessText = (stream: "stdout" | "stderr", outputBytesMax: number): string =>
  `more than ${outputBytesMax} bytes on ${stream}, the most that is kept of an agent; let it write to a file of its own`;
