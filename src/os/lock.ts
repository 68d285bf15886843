/**
 * Locks that the kernel frees when their holder dies, by SIGKILL too, and keeps while it is stopped.
 *
 * `flock` for whole files; open-file-description range locks (`F_OFD_SETLK`) where one file stands for many things. Both
 * belong to the open file, so closing another descriptor of the same file frees nothing, as it would with plain POSIX locks.
 */
import { readText } from "./file.ts";
import { libc, pointerTo } from "./libc.ts";

const EXCLUSIVE_NOW = 2 | 4;
const SHARED_NOW = 1 | 4;
const UNLOCK = 8;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;

/** True if this open file now holds the lock. Never waits. */
export function tryLockFile(fd: number): boolean {
  return libc.flock(fd, EXCLUSIVE_NOW) === 0;
}

/** True if this open file now holds the lock together with any other sharers. Never waits. */
export function trySharedLock(fd: number): boolean {
  return libc.flock(fd, SHARED_NOW) === 0;
}

export function unlockFile(fd: number): void {
  libc.flock(fd, UNLOCK);
}

/**
 * The processes that hold an exclusive `flock` of a file with this inode number, on whichever file system; empty where
 * the kernel does not say (`/proc/locks`).
 */
export function lockHolders(inode: number): number[] {
  const held = new RegExp(`: FLOCK +ADVISORY +WRITE (\\d+) [0-9a-f]+:[0-9a-f]+:${inode} `, "g");
  return [...(readText("/proc/locks") ?? "").matchAll(held)].map(([, pid]) => Number(pid));
}

const WRITE_LOCK = 1;
const NO_LOCK = 2;
// struct flock: type 2, whence 2, start 8 at byte 8, length 8. Offsets stay below 2^32.
const request = new DataView(new ArrayBuffer(32));
request.setUint32(16, 1, true);

function range(fd: number, type: number, at: number): boolean {
  request.setInt16(0, type, true);
  request.setUint32(8, at, true);
  return libc.fcntl(fd, F_OFD_SETLK, pointerTo(request)) === 0;
}

/** Locks byte `at` of the file, whether or not it has that many. True if this open file now holds it. Never waits. */
export function tryLockByte(fd: number, at: number): boolean {
  return range(fd, WRITE_LOCK, at);
}

/** Whether another open file has byte `at` locked. */
export function isByteLocked(fd: number, at: number): boolean {
  request.setInt16(0, WRITE_LOCK, true);
  request.setUint32(8, at, true);
  const asked = libc.fcntl(fd, F_OFD_GETLK, pointerTo(request)) === 0;
  const found = request.getInt16(0, true) !== NO_LOCK;
  // The kernel writes down whose lock it is, which the next request must not say.
  request.setUint32(16, 1, true);
  request.setUint32(24, 0, true);
  return asked && found;
}

export function unlockByte(fd: number, at: number): void {
  range(fd, NO_LOCK, at);
}
