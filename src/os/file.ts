/**
 * Files, by system call. Calls return a value ≥ 0, or the negated error number (`-E.NOENT`): callers decide what an
 * error means, and most of these happen in ordinary running.
 */
import { cString, E, errno, libc, pointerTo } from "./libc.ts";

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  // These two differ between the architectures.
  DIRECTORY: process.arch === "arm64" ? 0o40000 : 0o200000,
  NOFOLLOW: process.arch === "arm64" ? 0o100000 : 0o400000,
} as const;

const failed = (): number => -errno();

/** Opens close-on-exec: a child that inherited a lock's descriptor would keep the lock beyond its holder's death. */
export function openFile(path: string, flags: number, mode = 0o600): number {
  if (globalThis.outOfSpace?.("open", flags)) return -E.NOSPC;
  const fd = libc.open(cString(path), flags | O.CLOEXEC, mode);
  return fd < 0 ? failed() : fd;
}

export function closeFile(fd: number): void {
  libc.close(fd);
}

export function readInto(fd: number, into: Uint8Array): number {
  for (;;) {
    const got = libc.read(fd, pointerTo(into), into.length);
    if (got >= 0) return got;
    const error = errno();
    if (error !== E.INTR) return -error;
  }
}

const pollEntry = new Int32Array(2);
const pollTimeout = new BigInt64Array(2);

/** Waits until `fd` is readable (1) or writable (4), or `timeoutMs` has passed. Blocks the process. True if ready. */
export function pollFile(fd: number, events: number, timeoutMs: number): boolean {
  pollEntry[0] = fd;
  pollEntry[1] = events;
  pollTimeout[0] = BigInt(Math.floor(timeoutMs / 1000));
  pollTimeout[1] = BigInt(Math.round((timeoutMs % 1000) * 1e6));
  return libc.ppoll(pointerTo(pollEntry), 1, pointerTo(pollTimeout)) > 0;
}

/** Writes all of `bytes`, waiting where the other end is slow. 0, or the negated error number. */
export function writeAll(fd: number, bytes: Uint8Array): number {
  if (globalThis.outOfSpace?.("write", fd)) return -E.NOSPC;
  let done = 0;
  while (done < bytes.length) {
    const rest = done === 0 ? bytes : bytes.subarray(done);
    const wrote = libc.write(fd, pointerTo(rest), rest.length);
    if (wrote >= 0) done += wrote;
    else {
      const error = errno();
      if (error === E.AGAIN) pollFile(fd, 4, 1000);
      else if (error !== E.INTR) return -error;
    }
  }
  return 0;
}

export function fileSize(fd: number): number {
  const size = libc.lseek(fd, 0, 2);
  return size < 0 ? failed() : size;
}

export function seekTo(fd: number, offset: number): void {
  libc.lseek(fd, offset, 0);
}

/**
 * Reserves real pages for the first `bytes` of a file: a later store into them cannot meet a full tmpfs (SIGBUS). A file
 * system that cannot reserve gets zeros written instead. 0 or a negated error number.
 */
export function allocateFile(fd: number, bytes: number): number {
  if (globalThis.outOfSpace?.("fallocate")) return -E.NOSPC;
  for (;;) {
    if (libc.fallocate(fd, 0, bytes) === 0) return 0;
    const error = errno();
    if (error === E.OPNOTSUPP) {
      const size = fileSize(fd);
      return size >= bytes ? 0 : writeAll(fd, new Uint8Array(bytes - size));
    }
    if (error !== E.INTR) return -error;
  }
}

const decoder = new TextDecoder();

/** A whole small file (`/proc`, `meta`) as bytes; undefined if it cannot be read or is larger than `most`. */
export function readBytes(path: string, most = 1 << 20): Uint8Array | undefined {
  const fd = openFile(path, O.RDONLY);
  if (fd < 0) return undefined;
  let buffer = new Uint8Array(4096);
  let length = 0;
  for (;;) {
    const got = readInto(fd, buffer.subarray(length));
    if (got <= 0) {
      closeFile(fd);
      return got < 0 ? undefined : buffer.subarray(0, length);
    }
    length += got;
    if (length > most) break;
    if (length === buffer.length) {
      const larger = new Uint8Array(buffer.length * 4);
      larger.set(buffer);
      buffer = larger;
    }
  }
  closeFile(fd);
  return undefined;
}

export function readText(path: string, most = 1 << 20): string | undefined {
  const bytes = readBytes(path, most);
  return bytes === undefined ? undefined : decoder.decode(bytes);
}

const encoder = new TextEncoder();
let replaced = 0;

/**
 * Replaces a file whole: written beside it under a hidden name, then renamed, so that a reader sees the old text or the
 * new one and a death in between leaves the old. 0, or the negated error number.
 */
export function replaceFile(path: string, content: string | Uint8Array, mode = 0o600): number {
  const slash = path.lastIndexOf("/") + 1;
  const hidden = `${path.slice(0, slash)}.${path.slice(slash)}.${process.pid}.${++replaced}`;
  const fd = openFile(hidden, O.WRONLY | O.CREAT | O.EXCL, mode);
  if (fd < 0) return fd;
  globalThis.crashPoint?.("replace.created");
  const wrote = writeAll(fd, typeof content === "string" ? encoder.encode(content) : content);
  closeFile(fd);
  globalThis.crashPoint?.("replace.written");
  const outcome = wrote < 0 ? wrote : renameFile(hidden, path);
  if (outcome < 0) unlinkFile(hidden);
  return outcome;
}

export function renameFile(from: string, to: string): number {
  return libc.rename(cString(from, 0), cString(to, 1)) < 0 ? failed() : 0;
}

export function makeSymlink(target: string, at: string): number {
  if (globalThis.outOfSpace?.("symlink")) return -E.NOSPC;
  return libc.symlink(cString(target, 0), cString(at, 1)) < 0 ? failed() : 0;
}

const LINK_BYTES = 4096;
let linkBuffer: Uint8Array | undefined;

/** What a symbolic link says; undefined if there is none. */
export function readSymlink(path: string): string | undefined {
  linkBuffer ??= new Uint8Array(new ArrayBuffer(LINK_BYTES));
  const length = libc.readlink(cString(path), pointerTo(linkBuffer), LINK_BYTES);
  return length < 0 ? undefined : decoder.decode(linkBuffer.subarray(0, length));
}

export function unlinkFile(path: string): number {
  return libc.unlink(cString(path)) < 0 ? failed() : 0;
}

export function makeDirectory(path: string, mode = 0o700): number {
  if (globalThis.outOfSpace?.("mkdir")) return -E.NOSPC;
  return libc.mkdir(cString(path), mode) < 0 ? failed() : 0;
}

export function removeDirectory(path: string): number {
  return libc.rmdir(cString(path)) < 0 ? failed() : 0;
}

export interface Stat {
  readonly type: "file" | "directory" | "symlink" | "fifo" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly bytes: number;
  /** What it occupies, which for a sparse file is less than `bytes`. */
  readonly allocatedBytes: number;
  readonly inode: number;
  readonly modifiedSeconds: number;
  /** Of that second. */
  readonly modifiedNanoseconds: number;
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const statBuffer = new DataView(new ArrayBuffer(256));
/** A 64-bit number as a double, exact below 2^53: without the detour of a BigInt, of which a run would make thousands. */
const wide = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
const kinds: Record<number, Stat["type"]> = { 8: "file", 4: "directory", 10: "symlink", 1: "fifo" };

/** What a path names, a symbolic link not followed unless asked; undefined where there is nothing. */
export function statPath(path: string, follow = false): Stat | undefined {
  const flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  if (libc.statx(cString(path), flags, 0x7ff, pointerTo(statBuffer)) < 0) return undefined;
  const mode = statBuffer.getUint16(28, true);
  return {
    type: kinds[mode >> 12] ?? "other",
    mode: mode & 0o7777,
    uid: statBuffer.getUint32(20, true),
    bytes: wide(statBuffer, 40),
    allocatedBytes: wide(statBuffer, 48) * 512,
    inode: wide(statBuffer, 32),
    modifiedSeconds: wide(statBuffer, 112),
    modifiedNanoseconds: statBuffer.getUint32(120, true),
  };
}

export interface Space {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Files that can still be made; Infinity where the file system sets no number. */
  readonly freeFiles: number;
  readonly tmpfs: boolean;
}

const statfsBuffer = new DataView(new ArrayBuffer(256));

/** The space of the file system that holds `path`; undefined if the path is not there. */
export function fileSystemSpace(path: string): Space | undefined {
  if (libc.statfs(cString(path), pointerTo(statfsBuffer)) < 0) return undefined;
  const block = wide(statfsBuffer, 8);
  return {
    freeBytes: wide(statfsBuffer, 32) * block,
    totalBytes: wide(statfsBuffer, 16) * block,
    freeFiles: wide(statfsBuffer, 40) === 0 ? Number.POSITIVE_INFINITY : wide(statfsBuffer, 48),
    tmpfs: wide(statfsBuffer, 0) === 0x01021994,
  };
}

/** Of the file system that `path` will be on: that of the nearest directory above it that is there just now. */
export function spaceAround(path: string): Space {
  for (let place = path; ; place = place.slice(0, place.lastIndexOf("/"))) {
    const space = fileSystemSpace(place || "/");
    if (space !== undefined) return space;
  }
}

/** Whether this process may write below the directory: false on a read-only file system too. */
export function isWritable(path: string): boolean {
  return libc.access(cString(path), 2) === 0;
}
