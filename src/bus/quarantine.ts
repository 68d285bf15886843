/**
 * What was found damaged is kept for a person, as the file `damaged-<n>-<what>` of its shard, before it is mended. A bounded
 * number of them, beside the bus's bound: what comes after those is counted only.
 */
import { limits } from "../limits.ts";
import { closeFile, O, openFile, renameFile, unlinkFile, writeAll } from "../os/file.ts";
import { filesOf, type Shard } from "./shard.ts";

/** The numbers of the files kept so far. */
const keptIn = (shard: Shard): number[] =>
  filesOf(shard)
    .map((name) => /^damaged-(\d{1,9})-/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number);

export const countKept = (shard: Shard): number => keptIn(shard).length;

/** The next file's path; undefined once there are `limits.damagedKept`. */
function nextPath(shard: Shard, what: string): string | undefined {
  const kept = keptIn(shard);
  return kept.length >= limits.damagedKept ? undefined : `${shard.dir}/damaged-${Math.max(0, ...kept) + 1}-${what}`;
}

/** Keeps a copy, where there is room for one. */
export function keep(shard: Shard, what: string, bytes: Uint8Array): void {
  const path = nextPath(shard, what);
  const fd = path === undefined ? -1 : openFile(path, O.WRONLY | O.CREAT | O.EXCL);
  if (path === undefined || fd < 0) return;
  globalThis.crashPoint?.("keep.created");
  const wrote = writeAll(fd, bytes);
  closeFile(fd);
  if (wrote < 0) unlinkFile(path);
  globalThis.crashPoint?.("keep.kept");
}

/** Keeps a file itself, out of everybody's way; it is removed where enough are kept. */
export function keepFile(shard: Shard, what: string, from: string): void {
  const path = nextPath(shard, what);
  if (path === undefined || renameFile(from, path) < 0) unlinkFile(from);
}

/** The largest number that a segment's file has or had, as far as its name is left; 0 for none. */
export function largestNumber(shard: Shard): number {
  const numbers = filesOf(shard).map((name) => /^(?:damaged-\d+-)?segment-(\d{1,10})(?:-at-\d+)?$/.exec(name)?.[1]);
  return Math.max(0, ...numbers.filter((digits) => digits !== undefined).map(Number));
}
