/**
 * The configuration file: where it is, and its bytes, read so that nothing can hang or flood whoever reads it. Message commands
 * use this alone, without the schema.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { formatBytes } from "../message/quantity.ts";
import { closeFile, O, openFile, readInto, statPath } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { parseToml } from "../os/toml.ts";
import { parseYaml } from "../os/yaml.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface ConfigText {
  readonly path: string;
  readonly text: string;
}

const parsers = { toml: parseToml, yaml: parseYaml, yml: parseYaml, json: JSON.parse } as const;

/** `$XDG_CONFIG_HOME/cfn/config.toml`, below `~/.config` without that; undefined where the environment names no home. */
export function defaultConfigPath(env: Env): string | undefined {
  const { XDG_CONFIG_HOME: config, HOME: home } = env;
  if (config?.startsWith("/")) return `${config}/cfn/config.toml`;
  return home?.startsWith("/") ? `${home}/.config/cfn/config.toml` : undefined;
}

/** Undefined where there is nothing. Throws CfnError, refused where it may not be read, usage for what is no file to read. */
export function readConfig(path: string): ConfigText | undefined {
  // Opening a FIFO for reading would wait for a writer.
  const fd = openFile(path, O.RDONLY | O.NONBLOCK);
  if (fd === -E.NOENT || fd === -E.NOTDIR) return undefined;
  if (fd < 0) throw new CfnError("refused", `cannot read the configuration ${path}: ${errorText(-fd)}`);
  try {
    const type = statPath(`/proc/self/fd/${fd}`, true)?.type;
    if (type !== "file") throw unfit(path, `is ${type === "directory" ? "a directory" : "not a regular file"}`);
    return { path, text: decoded(path, readWhole(fd, path)) };
  } finally {
    closeFile(fd);
  }
}

/** What the text says, by the ending of the file's name. Throws what the parser throws. */
export function parseConfig(path: string, text: string): unknown {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  if (Object.hasOwn(parsers, ending)) return parsers[ending as keyof typeof parsers](text);
  throw unfit(path, "has none of the endings .toml, .yaml, .yml and .json", "they say how to read it");
}

const unfit = (path: string, what: string, remedy = ""): CfnError =>
  new CfnError("usage", `the configuration ${path} ${what}`, remedy);

function readWhole(fd: number, path: string): Uint8Array {
  const most = limits.configBytes;
  const bytes = new Uint8Array(most + 1);
  let length = 0;
  for (;;) {
    const got = readInto(fd, bytes.subarray(length));
    if (got < 0) throw new CfnError("refused", `cannot read the configuration ${path}: ${errorText(-got)}`);
    if (got === 0) return bytes.subarray(0, length);
    length += got;
    if (length > most) throw unfit(path, `is larger than ${formatBytes(most)}`);
  }
}

function decoded(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw unfit(path, "is not UTF-8");
  }
}
