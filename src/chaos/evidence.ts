/**
 * The evidence: what happened, written by those to whom it happened, in files that are only ever appended to.
 *
 * A process that is killed may leave a line unfinished. So every line ends in " ;", and every write begins with a newline:
 * what is cut off is seen and damages no line after it. Blank lines mean nothing.
 */
import { CfnError } from "../errors.ts";
import { closeFile, fileSize, O, openFile, readInto, seekTo, writeAll } from "../os/file.ts";
import { errorText } from "../os/libc.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The files below the directory of evidence. */
export const evidencePaths = {
  agents: (dir: string) => `${dir}/agents`,
  /** What `cfn send --json` printed for the agents. */
  accepted: (dir: string) => `${dir}/accepted`,
  sender: (dir: string, id: string) => `${dir}/sent-${id}`,
  inbox: (dir: string, id: string) => `${dir}/took-${id}`,
} as const;

export class EvidenceFile {
  private readonly fd: number;

  /** @throws CfnError cannot_create */
  constructor(readonly path: string) {
    this.fd = openFile(path, O.WRONLY | O.CREAT | O.APPEND);
    if (this.fd < 0) throw new CfnError("cannot_create", `cannot write ${path}: ${errorText(-this.fd)}`);
  }

  /** All of them in one write, which is done when this returns. No word may hold a space. */
  append(lines: readonly (readonly (string | number)[])[]): void {
    if (lines.length === 0) return;
    const wrote = writeAll(this.fd, encoder.encode(`\n${lines.map((words) => `${words.join(" ")} ;\n`).join("")}`));
    if (wrote < 0) throw new CfnError("cannot_create", `cannot write ${this.path}: ${errorText(-wrote)}`);
  }

  close(): void {
    closeFile(this.fd);
  }
}

/** The words of one line; undefined for one that is blank or unfinished. Pure. */
export function evidenceWords(line: string): string[] | undefined {
  const words = line.split(" ");
  return words.length > 1 && words.pop() === ";" ? words : undefined;
}

/** Follows a file that others append to: each call gives the whole lines that have come since the last. */
export class Tail {
  private at = 0;
  private rest = "";
  private readonly chunk = new Uint8Array(new ArrayBuffer(256 * 1024));

  constructor(private readonly path: string) {}

  take(): string[] {
    const fd = openFile(this.path, O.RDONLY);
    if (fd < 0) return [];
    const lines: string[] = [];
    try {
      if (fileSize(fd) <= this.at) return lines;
      seekTo(fd, this.at);
      // The evidence is ASCII: no character is cut between two reads.
      for (let got = readInto(fd, this.chunk); got > 0; got = readInto(fd, this.chunk)) {
        this.at += got;
        const parts = (this.rest + decoder.decode(this.chunk.subarray(0, got))).split("\n");
        this.rest = parts.pop() as string;
        for (const part of parts) lines.push(part);
      }
      return lines;
    } finally {
      closeFile(fd);
    }
  }
}

/** Every whole line of a file as its words, unfinished ones left out; none if it is not there. */
export function evidenceOf(path: string): string[][] {
  return new Tail(path).take().flatMap((line) => {
    const words = evidenceWords(line);
    return words === undefined ? [] : [words];
  });
}
