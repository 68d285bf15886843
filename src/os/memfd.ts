/** A nameless file in memory: what a child reads as its stdin. Nothing of it can be left behind. */
import { closeFile, seekTo, writeAll } from "./file.ts";
import { cString, E, errno, libc } from "./libc.ts";

const CLOEXEC = 1;
const encoder = new TextEncoder();

/** An open file that holds `text`, at its beginning; or the negated error number. The caller closes it. */
export function memoryFile(text: string): number {
  if (globalThis.outOfSpace?.("memfd")) return -E.NOSPC;
  const fd = libc.memfdCreate(cString("stdin"), CLOEXEC);
  if (fd < 0) return -errno();
  const wrote = writeAll(fd, encoder.encode(text));
  if (wrote < 0) {
    closeFile(fd);
    return wrote;
  }
  seekTo(fd, 0);
  return fd;
}
