/**
 * Reads metrics files, a line at a time. A file's older parts (`.2`, `.1`) are read before it. An event whose number was seen is passed
 * over: a part may be renamed while it is read.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { closeFile, fileSize, O, openFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { listDirectory } from "../os/tree.ts";
import { visitWholeLines } from "../os/wholelines.ts";
import { type MetricsEvent, type MetricsHeader, metricsSchema } from "./events.ts";
import { readEvent, readMetricsHeader } from "./schema.ts";

/** What is wrong with what was read. */
export interface ReadingFaults {
  /** Lines that are no events, and where the first of them are. */
  broken: number;
  readonly places: { readonly file: string; readonly line: number }[];
  /** Files that end within a line: whoever wrote it was killed, or the disk was full. */
  torn: number;
  /** Events that the numbers say there were, and that are in no file. */
  missing: number;
  /** Events in older parts that rotation has removed. */
  rotated_away: number;
}

export interface MetricsReading {
  readonly faults: ReadingFaults;
  /** Undefined where there is not a whole line. */
  readonly runId: string | undefined;
}

type Visit = (event: MetricsEvent, writer: string) => void;

const decoder = new TextDecoder();
const FILE = /^(.+\.jsonl)(?:\.([0-9]+))?$/;

/** The files below a run's metrics folder, each with its older parts, these first. */
export function metricsFiles(folder: string): string[][] {
  const parts = new Map<string, { name: string; age: number }[]>();
  for (const name of listDirectory(folder)) {
    const [, base, age] = FILE.exec(name) ?? [];
    if (base === undefined) continue;
    parts.set(base, [...(parts.get(base) ?? []), { name, age: Number(age ?? 0) }]);
  }
  return [...parts.values()].map((all) =>
    all.sort((one, other) => other.age - one.age).map(({ name }) => `${folder}/${name}`),
  );
}

/** The file named, after its older parts that lie beside it. */
export function partsOf(path: string): string[] {
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "." : path.slice(0, slash) || "/";
  const name = path.slice(slash + 1);
  const beside = metricsFiles(folder).find((parts) => parts.at(-1) === `${folder}/${name}`);
  return [...(beside ?? []).slice(0, -1), path];
}

/** @throws CfnError not_found; malformed, for a file of another kind or schema */
export function readMetrics(files: readonly (readonly string[])[], visit: Visit): MetricsReading {
  const faults: ReadingFaults = { broken: 0, places: [], torn: 0, missing: 0, rotated_away: 0 };
  let runId: string | undefined;
  for (const parts of files) {
    const numbers = new Numbers(faults);
    for (const path of parts) {
      const header = readPart(path, faults, numbers, visit);
      runId ??= header?.run_id;
    }
  }
  return { faults, runId };
}

/** Which numbers of one writer have been seen. */
class Numbers {
  private last: number | undefined;
  /** Broken lines since the last event: each of them may have been one. */
  private broken = 0;

  constructor(private readonly faults: ReadingFaults) {}

  /** A file begins with the event of this number. */
  begin(next: number): void {
    if (this.last !== undefined) return;
    this.last = next - 1;
    this.faults.rotated_away += this.last;
  }

  /** False for one that was seen. */
  isNew(n: number): boolean {
    const last = this.last ?? 0;
    if (n <= last) return false;
    this.faults.missing += Math.max(0, n - last - 1 - this.broken);
    this.broken = 0;
    this.last = n;
    return true;
  }

  skip(file: string, line: number): void {
    this.broken++;
    this.faults.broken++;
    if (this.faults.places.length < limits.metricsPlacesNamed) this.faults.places.push({ file, line });
  }
}

/** Gives its header; undefined for an empty file. */
function readPart(path: string, faults: ReadingFaults, numbers: Numbers, visit: Visit): MetricsHeader | undefined {
  const fd = openFile(path, O.RDONLY);
  if (fd < 0) throw new CfnError("not_found", `cannot read the metrics ${path}: ${errorText(-fd)}`);
  try {
    let line = 0;
    let header: MetricsHeader | undefined;
    const whole = visitWholeLines(fd, limits.metricsLineBytes, (bytes) => {
      line++;
      const text = decoder.decode(bytes);
      if (header === undefined) {
        header = headerOf(path, text);
        numbers.begin(header.next);
        return;
      }
      const read = readEvent(text);
      if (read === undefined) numbers.skip(path, line);
      else if (numbers.isNew(read.n) && read.event !== undefined) visit(read.event, header.writer);
    });
    if (whole < fileSize(fd)) faults.torn++;
    return header;
  } finally {
    closeFile(fd);
  }
}

function headerOf(path: string, text: string): MetricsHeader {
  const header = readMetricsHeader(text);
  if (header !== undefined && typeof header !== "string") return header;
  const isOther = header !== undefined;
  const what = isOther
    ? `${path} has the schema ${JSON.stringify(header)}, and this cfn reads ${metricsSchema}`
    : `${path} is no metrics file: its first line has no schema`;
  throw new CfnError("malformed", what, isOther ? "read it with the cfn that wrote it" : "");
}
