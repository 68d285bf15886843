/**
 * The file `meta` of a bus: what all who open it must agree on. Written once, with the bus; one line of JSON whose last member is
 * the checksum of the line without it.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readText } from "../os/file.ts";
import { LAYOUT } from "./layout.ts";
import { checkOwned } from "./safety.ts";

export interface Meta {
  readonly magic: "cfn-bus";
  readonly layout: number;
  readonly uuid: string;
  readonly boot_id: string;
  readonly shards: number;
  readonly segment_bytes: number;
  readonly bus_bytes: number;
  /** Of one inbox's data messages. A bus that does not say has the defaults. */
  readonly inbox_messages: number;
  readonly inbox_bytes: number;
}

/** The bounds that a bus is made with; those left out are the usual ones (`src/limits.ts`). */
export interface BusBounds {
  readonly shards?: number | undefined;
  /** Messages and index together, bytes; never more than half of what is free there. */
  readonly busBytes?: number | undefined;
  /** Of one inbox: data messages, and their bytes. */
  readonly inboxMessages?: number | undefined;
  readonly inboxBytes?: number | undefined;
  /** How many agents it is made for, where that is known. */
  readonly agents?: number | undefined;
}

/** What each bound may be, whoever sets it. */
const ranges: readonly (readonly [name: keyof BusBounds, key: keyof Meta, least: number, most: number])[] = [
  ["shards", "shards", 1, limits.shardsMax],
  ["busBytes", "bus_bytes", 0, limits.busBytesMost],
  ["inboxMessages", "inbox_messages", 1, limits.inboxMessagesMost],
  ["inboxBytes", "inbox_bytes", 2 * limits.payloadBytes, limits.inboxBytesMost],
];

const isWithin = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

/** Throws CfnError usage for a bound out of its range. */
export function checkBounds(bounds: BusBounds): void {
  for (const [name, key, least, most] of ranges) {
    const value = bounds[name];
    if (value !== undefined && !isWithin(value, least, most))
      throw new CfnError("usage", `a bus with ${key} ${value}: expected a whole number from ${least} to ${most}`);
  }
}

/** The file as written. */
export function metaText(meta: Partial<Meta>): string {
  const text = JSON.stringify(meta);
  return `${text.slice(0, -1)},"crc":${Bun.hash.crc32(text)}}\n`;
}

/** What the file says; undefined unless it is to the byte what was written, by whichever version that has a checksum. */
function asWritten(text: string): Partial<Meta> | undefined {
  try {
    const { crc, ...meta } = JSON.parse(text) as Partial<Meta> & { crc?: number };
    // The first layout had no checksum: it is told apart to name it.
    if (crc === undefined && meta.layout === 1 && `${JSON.stringify(meta)}\n` === text) return meta;
    return metaText(meta) === text ? meta : undefined;
  } catch {
    return undefined; // No JSON: said by the caller, with the other ways of not being a bus.
  }
}

/** The parameters of the bus in `dir`, whose file holds `text`. Throws CfnError unavailable, if it is none of this version. */
function parseMeta(dir: string, text: string | undefined): Meta {
  const said = text === undefined ? undefined : asWritten(text);
  if (said?.magic === "cfn-bus" && said.layout !== LAYOUT) {
    throw new CfnError(
      "unavailable",
      `${dir} has layout ${said.layout}, this cfn has ${LAYOUT}`,
      "use one version of cfn on one bus",
    );
  }
  const meta = { inbox_messages: limits.inboxMessages, inbox_bytes: limits.inboxBytes, ...said };
  const whole =
    meta.magic === "cfn-bus" &&
    (meta.segment_bytes === limits.segmentBytes || meta.segment_bytes === limits.segmentBytesSmall) &&
    ranges.every(([, key, least, most]) => isWithin(meta[key], least, most));
  if (!whole)
    throw new CfnError(
      "unavailable",
      `${dir} is not a bus: the file ${dir}/meta is ${text === undefined ? "missing or unreadable" : "damaged"}`,
      "remove the directory and start the run again",
    );
  return meta as Meta;
}

/**
 * Reads a bus's parameters.
 *
 * @throws CfnError refused, if the directory is not safe; unavailable, if it is no bus of this version and boot.
 */
export function readMeta(dir: string): Meta {
  checkOwned(dir);
  return parseMeta(dir, readText(`${dir}/meta`, 4096));
}
