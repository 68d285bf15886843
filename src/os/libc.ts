/**
 * The C library, opened once. The only place that knows whether it is glibc or musl.
 *
 * It goes through `Bun.FFI`, the native object underneath the module `bun:ffi`: importing that module costs 0.8 ms at
 * start-up and any `node:*` module 2.5 ms, of the 5 ms that a whole process takes (`bench/start.sh`), and `cfn send` is a
 * process per message. The native object has no checks and no conversions: every pointer is a number, every call as in C.
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

const signatures = {
  __errno_location: { args: [], returns: PTR },
  open: { args: [PTR, I32, I32], returns: I32 },
  close: { args: [I32], returns: I32 },
  read: { args: [I32, PTR, U64], returns: I64 },
  write: { args: [I32, PTR, U64], returns: I64 },
  pread: { args: [I32, PTR, U64, I64], returns: I64 },
  lseek: { args: [I32, I64, I32], returns: I64 },
  posix_fallocate: { args: [I32, I64, I64], returns: I32 },
  mmap: { args: [PTR, U64, I32, I32, I32, I64], returns: PTR },
  munmap: { args: [PTR, U64], returns: I32 },
  flock: { args: [I32, I32], returns: I32 },
  fcntl: { args: [I32, I32, PTR], returns: I32 },
  rename: { args: [PTR, PTR], returns: I32 },
  link: { args: [PTR, PTR], returns: I32 },
  symlink: { args: [PTR, PTR], returns: I32 },
  unlink: { args: [PTR], returns: I32 },
  mkdir: { args: [PTR, U32], returns: I32 },
  rmdir: { args: [PTR], returns: I32 },
  mkfifo: { args: [PTR, U32], returns: I32 },
  access: { args: [PTR, I32], returns: I32 },
  statfs: { args: [PTR, PTR], returns: I32 },
  syscall: { args: [I64, I64, I64, I64, I64, I64], returns: I64 },
  poll: { args: [PTR, U64, I32], returns: I32 },
  ioctl: { args: [I32, U64, PTR], returns: I32 },
  usleep: { args: [U32], returns: I32 },
  getuid: { args: [], returns: U32 },
  geteuid: { args: [], returns: U32 },
  getpgid: { args: [I32], returns: I32 },
  kill: { args: [I32, I32], returns: I32 },
} as const;

type Symbols = { readonly [K in keyof typeof signatures]: Native };

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

export const libc: Symbols = openLibc(signatures);

export const pointerTo = (view: ArrayBufferView): number => ffi.ptr(view);

/** A view of memory that JavaScript does not own: the caller unmaps it, and never touches the view afterwards. */
export const memoryAt = (pointer: number, bytes: number): ArrayBuffer => ffi.toArrayBuffer(pointer, 0, bytes);

/** The error number of the last failed call. Valid only directly after it. */
export function errno(): number {
  return ffi.read.i32(libc.__errno_location(), 0);
}

const encoder = new TextEncoder();
const pathBuffers = [new Uint8Array(8192), new Uint8Array(8192)] as const;
const pathPointers = [ffi.ptr(pathBuffers[0]), ffi.ptr(pathBuffers[1])] as const;

/**
 * The text as a C string in one of two reused buffers: valid until the next call with the same `which`.
 * Longer than 8 KiB is cut, which no path can be (PATH_MAX is 4096); a NUL inside ends it, so callers refuse NUL before.
 */
export function cString(text: string, which: 0 | 1 = 0): number {
  const buffer = pathBuffers[which];
  const { written } = encoder.encodeInto(text, buffer.subarray(0, buffer.length - 1));
  buffer[written] = 0;
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
