/**
 * The task list: read as it is needed, never held whole. JSON lines and plain lines need one line at a time, a JSON array
 * one element; only YAML has to be read to its end, and is bounded for that.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { formatBytes } from "../message/quantity.ts";
import { closeFile, O, openFile, statPath } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { readSome } from "../os/stream.ts";
import { parseYaml } from "../os/yaml.ts";
import { ArraySplitter, decodePiece, LineSplitter, type Splitter } from "./lines.ts";
import { lineTask, readTask } from "./reading.ts";
import type { TaskCopy, TaskSource } from "./source.ts";
import type { TaskSpec } from "./spec.ts";

type TaskFormat = "jsonl" | "json" | "yaml" | "lines";

const CHUNK_BYTES = 64 * 1024;

/** By the name's end; without a telling one, plain lines where there is a command to give them to, else JSON lines. */
export function taskFormat(name: string, hasCommand: boolean): TaskFormat {
  if (/\.(jsonl|ndjson)$/i.test(name)) return "jsonl";
  if (/\.json$/i.test(name)) return "json";
  if (/\.ya?ml$/i.test(name)) return "yaml";
  return hasCommand ? "lines" : "jsonl";
}

/**
 * Opens `--tasks`; `-` is stdin.
 *
 * @throws CfnError not_found or malformed (a directory), usage (plain lines and no command)
 */
export function openTasks(file: string, command: readonly string[], copy: TaskCopy = {}): TaskSource {
  const name = file === "-" ? "stdin" : file;
  const format = taskFormat(file, command.length > 0);
  if (/\.(txt|list|lst)$/i.test(file) && command.length === 0) {
    throw new CfnError(
      "usage",
      `${name} holds plain lines, and there is no command to give them to`,
      "add one after --",
    );
  }
  const path = copy.replayed ?? file;
  let fd = 0;
  if (path !== "-") {
    if (statPath(path, true)?.type === "directory") {
      throw new CfnError(
        "malformed",
        `the task file ${file} is a directory`,
        "name a file of JSONL, JSON, YAML or plain lines",
      );
    }
    fd = openFile(path, O.RDONLY);
    if (fd < 0) throw new CfnError("not_found", `cannot read the task file ${path}: ${errorText(-fd)}`);
  }
  const input = new Input(fd, name, copy);
  return format === "yaml" ? new YamlTasks(input, name, command) : new StreamedTasks(input, name, format, command);
}

class Input {
  /** Read ahead where the input is copied: so its end is known, and recorded, before the last tasks run. */
  private ahead: Promise<Uint8Array | CfnError | undefined> | undefined;

  constructor(
    private readonly fd: number,
    private readonly name: string,
    private readonly copy: TaskCopy,
  ) {}

  /** The next bytes, in memory of their own; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const got = await (this.ahead ?? this.fetch());
    if (got instanceof CfnError) throw got;
    this.ahead = got === undefined || this.copy.copyInput === undefined ? undefined : this.fetch();
    if (got === undefined && this.copy.lost !== undefined) throw this.copy.lost;
    return got;
  }

  close(): void {
    if (this.fd !== 0) closeFile(this.fd);
  }

  private async fetch(): Promise<Uint8Array | CfnError | undefined> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    try {
      const got = await readSome(this.fd, chunk);
      const bytes = got === 0 ? undefined : chunk.subarray(0, got);
      this.copy.copyInput?.(bytes);
      return bytes;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return new CfnError("malformed", `cannot read tasks from ${this.name}: ${reason}`);
    }
  }
}

class StreamedTasks implements TaskSource {
  private readonly splitter: Splitter;
  private seq = 0;
  private ended = false;

  constructor(
    private readonly input: Input,
    private readonly name: string,
    private readonly format: "jsonl" | "json" | "lines",
    private readonly command: readonly string[],
  ) {
    this.splitter =
      format === "json"
        ? new ArraySplitter(name, limits.batchLineBytes)
        : new LineSplitter(name, limits.batchLineBytes);
  }

  next(): TaskSpec | "wait" | "end" {
    const piece = this.splitter.next();
    if (piece === undefined) return this.ended ? "end" : "wait";
    const where = `${this.name} line ${piece.line}`;
    if (this.format === "lines") return lineTask(piece.text, ++this.seq, this.command, where);
    return readTask(parseJson(piece.text, where, this.command.length > 0), ++this.seq, this.command, where);
  }

  async more(): Promise<void> {
    const bytes = await this.input.read();
    if (bytes !== undefined) return this.splitter.push(bytes);
    this.ended = true;
    this.splitter.end();
  }

  close(): void {
    this.input.close();
  }
}

function parseJson(text: string, where: string, hasCommand: boolean): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = hasCommand ? "" : "for plain lines give the command to run them with after --";
    throw new CfnError("malformed", `${where} is not JSON: ${reason}`, remedy);
  }
}

class YamlTasks implements TaskSource {
  private values: unknown[] | undefined;
  private seq = 0;

  constructor(
    private readonly input: Input,
    private readonly name: string,
    private readonly command: readonly string[],
  ) {}

  next(): TaskSpec | "wait" | "end" {
    if (this.values === undefined) return "wait";
    if (this.seq === this.values.length) return "end";
    const value = this.values[this.seq++];
    return readTask(value, this.seq, this.command, `${this.name} task ${this.seq}`);
  }

  async more(): Promise<void> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (let chunk = await this.input.read(); chunk !== undefined; chunk = await this.input.read()) {
      bytes += chunk.length;
      if (bytes > limits.yamlBytes) {
        const most = formatBytes(limits.yamlBytes);
        throw new CfnError(
          "malformed",
          `${this.name} is larger than ${most}, and YAML cannot be streamed`,
          "use JSONL",
        );
      }
      chunks.push(chunk);
    }
    const { text } = decodePiece(new Uint8Array(Buffer.concat(chunks)), 1, this.name);
    let document: unknown;
    try {
      document = text.trim() === "" ? [] : parseYaml(text);
    } catch (error) {
      throw new CfnError("malformed", `${this.name} is not YAML: ${error instanceof Error ? error.message : error}`);
    }
    this.values = Array.isArray(document) ? document.flat() : [document];
  }

  close(): void {
    this.input.close();
  }
}
