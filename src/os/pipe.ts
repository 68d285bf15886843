/** What a writer can know of the reader at a pipe's other end. */
import { pollFile, statPath } from "./file.ts";
import { libc, pointerTo } from "./libc.ts";

const FIONREAD = 0x541b;
const unread = new Int32Array(1);

export const isPipe = (fd: number): boolean => statPath(`/proc/self/fd/${fd}`, true)?.type === "fifo";

/** Whether nobody can read any more what is written to `fd`. Only pipes and sockets know. */
export const isReaderGone = (fd: number): boolean => pollFile(fd, 0, 0);

/** Bytes written to a pipe and not yet read from it. */
export function unreadBytes(fd: number): number {
  return libc.ioctl(fd, FIONREAD, pointerTo(unread)) < 0 ? 0 : (unread[0] as number);
}
