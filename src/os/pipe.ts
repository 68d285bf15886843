/** Pipes: made, and what a writer can know of the reader at the other end. */
import { O, pollFile, statPath } from "./file.ts";
import { libc, pointerTo } from "./libc.ts";

const FIONREAD = 0x541b;
const unread = new Int32Array(1);

const ends = new Int32Array(new ArrayBuffer(8));

/** Two descriptors that no child inherits unless it is given them. Undefined where there are none to be had. */
export function makePipe(): { readonly read: number; readonly write: number } | undefined {
  if (libc.pipe2(pointerTo(ends), O.CLOEXEC) < 0) return undefined;
  return { read: ends[0] as number, write: ends[1] as number };
}

export const isPipe = (fd: number): boolean => statPath(`/proc/self/fd/${fd}`, true)?.type === "fifo";

/** Whether nobody can read any more what is written to `fd`. Only pipes and sockets know. */
export const isReaderGone = (fd: number): boolean => pollFile(fd, 0, 0);

/** Bytes written to a pipe and not yet read from it. */
export function unreadBytes(fd: number): number {
  return libc.ioctl(fd, FIONREAD, pointerTo(unread)) < 0 ? 0 : (unread[0] as number);
}
