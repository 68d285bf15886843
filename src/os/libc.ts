/**
 * The kernel's calls, by way of the C library's `syscall`. The only place that knows call numbers, and glibc from musl.
 *
 * It goes through `Bun.FFI`, the native object underneath the module `bun:ffi`: importing that module costs 0.8 ms at
 * start-up and any `node:*` module 2.5 ms, of the 5 ms that a whole process takes (`bench/start.sh`), and `cfn send` is a
 * process per message. Each symbol that is opened costs 0.03 ms, so one does for all system calls. The native object has
 * no checks and no conversions: every pointer is a number, every call as in C.
 */
import { CfnError } from "../errors.ts";

const I32 = 5;
const U32 = 6;
const PTR = 12;
const I64 = 15; // a number where it is a safe integer
const U64 = 16;

type Native = (...args: (number | bigint)[]) => number;

interface NativeFfi {
  dlopen(name: string, symbols: object): { symbols: Record<string, Native> };
  ptr(view: ArrayBufferView): number;
  toArrayBuffer(pointer: number, offset: number, bytes: number): ArrayBuffer;
  read: { i32(pointer: number, offset: number): number };
}

const ffi = (Bun as unknown as { FFI: NativeFfi }).FFI;

const names = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Opens further functions of the C library: modules that few commands need declare their own symbols. */
export function openLibc<S extends object>(symbols: S): { readonly [K in keyof S]: Native } {
  for (const name of names) {
    try {
      return ffi.dlopen(name, symbols).symbols as { readonly [K in keyof S]: Native };
    } catch {
      // The other C library's name: try the next.
    }
  }
  throw new CfnError(
    "unavailable",
    `cannot open the C library (tried ${names.join(", ")})`,
    "use the archive for this system: glibc, or -musl",
  );
}

export const types = { i32: I32, u32: U32, ptr: PTR, i64: I64, u64: U64 } as const;

const { syscall, flock, __errno_location } = openLibc({
  syscall: { args: [I64, I64, I64, I64, I64, I64, I64], returns: I64 },
  // Twice for each message: with the two arguments that it has it takes a quarter less than by way of `syscall`.
  flock: { args: [I32, I32], returns: I32 },
  __errno_location: { args: [], returns: PTR },
});

const arm = process.arch === "arm64";
/** The architecture's number of a call: x86-64's or arm64's. */
const on = (x64: number, arm64: number): number => (arm ? arm64 : x64);
const AT_FDCWD = -100;
const AT_REMOVEDIR = 0x200;
const S_IFIFO = 0o10000;

const openat = on(257, 56);
const close = on(3, 57);
const read = on(0, 63);
const write = on(1, 64);
const lseek = on(8, 62);
const fallocate = on(285, 47);
const mmap = on(9, 222);
const munmap = on(11, 215);
const fcntl = on(72, 25);
const renameat2 = on(316, 276);
const symlinkat = on(266, 36);
const unlinkat = on(263, 35);
const readlinkat = on(267, 78);
const mkdirat = on(258, 34);
const mknodat = on(259, 33);
const faccessat = on(269, 48);
const statx = on(332, 291);
const statfs = on(137, 43);
const getdents64 = on(217, 61);
const ppoll = on(271, 73);
const ioctl = on(16, 29);
const nanosleep = on(35, 101);
const clockGettime = on(228, 113);
const geteuid = on(107, 175);
const kill = on(62, 129);
const getrandom = on(318, 278);
const memfdCreate = on(319, 279);
const pipe2 = on(293, 59);

/** The calls as in their manual pages; -1 is failure, then see `errno`. Paths are C strings (`cString`). */
export const libc = {
  open: (path: number, flags: number, mode: number) => syscall(openat, AT_FDCWD, path, flags, mode, 0, 0),
  close: (fd: number) => syscall(close, fd, 0, 0, 0, 0, 0),
  read: (fd: number, buffer: number, bytes: number) => syscall(read, fd, buffer, bytes, 0, 0, 0),
  write: (fd: number, buffer: number, bytes: number) => syscall(write, fd, buffer, bytes, 0, 0, 0),
  lseek: (fd: number, offset: number, whence: number) => syscall(lseek, fd, offset, whence, 0, 0, 0),
  fallocate: (fd: number, offset: number, bytes: number) => syscall(fallocate, fd, 0, offset, bytes, 0, 0),
  mmap: (bytes: number, protection: number, flags: number, fd: number) =>
    syscall(mmap, 0, bytes, protection, flags, fd, 0),
  munmap: (address: number, bytes: number) => syscall(munmap, address, bytes, 0, 0, 0, 0),
  flock,
  fcntl: (fd: number, command: number, argument: number) => syscall(fcntl, fd, command, argument, 0, 0, 0),
  rename: (from: number, to: number) => syscall(renameat2, AT_FDCWD, from, AT_FDCWD, to, 0, 0),
  symlink: (target: number, at: number) => syscall(symlinkat, target, AT_FDCWD, at, 0, 0, 0),
  readlink: (path: number, buffer: number, bytes: number) => syscall(readlinkat, AT_FDCWD, path, buffer, bytes, 0, 0),
  unlink: (path: number) => syscall(unlinkat, AT_FDCWD, path, 0, 0, 0, 0),
  mkdir: (path: number, mode: number) => syscall(mkdirat, AT_FDCWD, path, mode, 0, 0, 0),
  rmdir: (path: number) => syscall(unlinkat, AT_FDCWD, path, AT_REMOVEDIR, 0, 0, 0),
  mkfifo: (path: number, mode: number) => syscall(mknodat, AT_FDCWD, path, S_IFIFO | mode, 0, 0, 0),
  access: (path: number, mode: number) => syscall(faccessat, AT_FDCWD, path, mode, 0, 0, 0),
  statx: (path: number, flags: number, mask: number, buffer: number) =>
    syscall(statx, AT_FDCWD, path, flags, mask, buffer, 0),
  statfs: (path: number, buffer: number) => syscall(statfs, path, buffer, 0, 0, 0, 0),
  getdents64: (fd: number, buffer: number, bytes: number) => syscall(getdents64, fd, buffer, bytes, 0, 0, 0),
  /** `timeout` points at a timespec. */
  ppoll: (entries: number, count: number, timeout: number) => syscall(ppoll, entries, count, timeout, 0, 0, 0),
  ioctl: (fd: number, request: number, argument: number) => syscall(ioctl, fd, request, argument, 0, 0, 0),
  nanosleep: (duration: number) => syscall(nanosleep, duration, 0, 0, 0, 0, 0),
  clockGettime: (clock: number, time: number) => syscall(clockGettime, clock, time, 0, 0, 0, 0),
  geteuid: () => syscall(geteuid, 0, 0, 0, 0, 0, 0),
  kill: (pid: number, signal: number) => syscall(kill, pid, signal, 0, 0, 0, 0),
  memfdCreate: (name: number, flags: number) => syscall(memfdCreate, name, flags, 0, 0, 0, 0),
  pipe2: (ends: number, flags: number) => syscall(pipe2, ends, flags, 0, 0, 0, 0),
  getrandom: (buffer: number, bytes: number) => syscall(getrandom, buffer, bytes, 0, 0, 0, 0),
} as const;

/**
 * The address of a view's bytes, for the very next call. Only a view of an explicit `ArrayBuffer` stays where it is: Bun
 * moves small typed arrays, so keep no address of `new Int32Array(4)`, but of `new Int32Array(new ArrayBuffer(16))`.
 */
export const pointerTo = (view: ArrayBufferView): number => ffi.ptr(view);

/** A view of memory that JavaScript does not own: the caller unmaps it, and never touches the view afterwards. */
export const memoryAt = (pointer: number, bytes: number): ArrayBuffer => ffi.toArrayBuffer(pointer, 0, bytes);

/** The error number of the last failed call. Valid only directly after it. */
export function errno(): number {
  return ffi.read.i32(__errno_location(), 0);
}

const encoder = new TextEncoder();
const PATH_BYTES = 8192;
const pathBuffers = [new Uint8Array(PATH_BYTES + 1), new Uint8Array(PATH_BYTES + 1)] as const;
const pathRooms = [pathBuffers[0].subarray(0, PATH_BYTES), pathBuffers[1].subarray(0, PATH_BYTES)] as const;
const pathPointers = [ffi.ptr(pathBuffers[0]), ffi.ptr(pathBuffers[1])] as const;

/**
 * The text as a C string in one of two reused buffers: valid until the next call with the same `which`.
 * Longer than 8 KiB is cut, which no path can be (PATH_MAX is 4096); a NUL inside ends it, so callers refuse NUL before.
 */
export function cString(text: string, which: 0 | 1 = 0): number {
  const { written } = encoder.encodeInto(text, pathRooms[which]);
  pathBuffers[which][written] = 0;
  return pathPointers[which];
}

/** Linux error numbers that are told apart; the same on x86-64 and arm64. */
export const E = {
  PERM: 1,
  NOENT: 2,
  SRCH: 3,
  INTR: 4,
  IO: 5,
  NXIO: 6,
  TOOBIG: 7,
  NOEXEC: 8,
  AGAIN: 11,
  NOMEM: 12,
  ACCES: 13,
  EXIST: 17,
  XDEV: 18,
  NOTDIR: 20,
  ISDIR: 21,
  INVAL: 22,
  NFILE: 23,
  MFILE: 24,
  TXTBSY: 26,
  FBIG: 27,
  NOSPC: 28,
  ROFS: 30,
  PIPE: 32,
  NAMETOOLONG: 36,
  NOSYS: 38,
  NOTEMPTY: 39,
  LOOP: 40,
  OPNOTSUPP: 95,
  DQUOT: 122,
} as const;

const errorTexts: Record<number, string> = {
  [E.PERM]: "operation not permitted",
  [E.NOENT]: "no such file or directory",
  [E.NXIO]: "nobody reads it",
  [E.AGAIN]: "resource temporarily unavailable",
  [E.NOMEM]: "out of memory",
  [E.ACCES]: "permission denied",
  [E.EXIST]: "it exists already",
  [E.NOTDIR]: "not a directory",
  [E.ISDIR]: "it is a directory",
  [E.MFILE]: "too many open files",
  [E.NFILE]: "too many open files on this machine",
  [E.TXTBSY]: "the file is being written",
  [E.FBIG]: "file too large",
  [E.NOSPC]: "no space left on device",
  [E.ROFS]: "read-only file system",
  [E.PIPE]: "broken pipe",
  [E.NAMETOOLONG]: "name too long",
  [E.LOOP]: "a symbolic link where none may be",
  [E.DQUOT]: "disk quota exceeded",
};

export function errorText(number: number): string {
  return errorTexts[number] ?? `error ${number}`;
}
