/**
 * Stands in for every module of `src/os` that the bus imports, inside the woven bundle. Each function does what its namesake's
 * docstring says, on the simulated kernel `$k`. Those that make several system calls are generators, with a point before
 * each call; before the others the weaver puts one.
 */
import type { Inode, Kernel } from "./kernel.ts";
import type { Steps } from "./steps.ts";

declare const $k: Kernel;

// file.ts
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NONBLOCK: 0o4000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
} as const;

export function openFile(path: string, flags: number): number {
  const inode = $k.files.get(path);
  if ((flags & O.CREAT) === 0 && inode === undefined) return -E.NOENT;
  if ((flags & O.EXCL) !== 0 && inode !== undefined) return -E.EXIST;
  if ($k.fails("descriptors")) return -E.MFILE;
  if (inode !== undefined) return $k.open(inode);
  return $k.fails("space") ? -E.NOSPC : $k.open($k.create(path, "file"));
}

export const closeFile = (fd: number): void => $k.close(fd);
export const fileSize = (fd: number): number => $k.file(fd).inode.bytes;

export function allocateFile(fd: number, bytes: number): number {
  if ($k.fails("space")) return -E.NOSPC;
  $k.grow(undefined, $k.file(fd).inode, bytes);
  return 0;
}

export function* readBytes(path: string, most = 1 << 20): Steps<Uint8Array | undefined> {
  if ($k.p()) yield 1;
  const inode = $k.files.get(path);
  if (inode === undefined || $k.fails("descriptors")) return undefined;
  if ($k.p()) yield 1;
  return inode.bytes > most ? undefined : inode.memory.slice(0, inode.bytes);
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
let replaced = 0;

export function* readText(path: string, most = 1 << 20): Steps<string | undefined> {
  const bytes = yield* readBytes(path, most);
  return bytes === undefined ? undefined : decoder.decode(bytes);
}

export function* replaceFile(path: string, content: string | Uint8Array): Steps<number> {
  const slash = path.lastIndexOf("/") + 1;
  const hidden = `${path.slice(0, slash)}.${path.slice(slash)}.${$k.current.pid}.${++replaced % 1000}`;
  if ($k.p()) yield 1;
  const fd = openFile(hidden, O.WRONLY | O.CREAT | O.EXCL);
  if (fd < 0) return fd;
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const { inode } = $k.file(fd);
  const cut = $k.below(bytes.length + 1);
  const space = !$k.fails("space");
  for (const end of space ? [cut, bytes.length] : [cut]) {
    if ($k.p()) yield 1;
    if (inode.memory.length === 0) inode.memory = new Uint8Array(bytes.length);
    inode.memory.set(bytes.subarray(0, end));
    inode.bytes = end;
  }
  closeFile(fd);
  if ($k.p()) yield 1;
  const outcome = space ? renameFile(hidden, path) : -E.NOSPC;
  if (outcome < 0) unlinkFile(hidden);
  return outcome;
}

export function* writeAll(fd: number, bytes: Uint8Array): Steps<number> {
  const { inode } = $k.file(fd);
  if ($k.p()) yield 1;
  if ($k.fails("space")) return -E.NOSPC;
  inode.memory = bytes.slice();
  inode.bytes = bytes.length;
  return bytes.length;
}

export function renameFile(from: string, to: string): number {
  const inode = $k.files.get(from);
  if (inode === undefined) return -E.NOENT;
  for (const [path, below] of [...$k.files]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    $k.files.delete(path);
    $k.files.set(to + path.slice(from.length), below);
  }
  if (to.includes("/blobs/")) $k.count("blob stored");
  else if (to.endsWith("/recycled")) $k.count("segment recycled");
  else if (from.endsWith("/recycled")) $k.count("recycled segment used");
  else if (from.endsWith("/spare")) $k.count("spare segment used");
  return 0;
}

export function unlinkFile(path: string): number {
  const inode = $k.files.get(path);
  if (inode === undefined || inode.type === "directory") return -E.NOENT;
  $k.files.delete(path);
  return 0;
}

/** No sender waits for long enough to leave a link. */
export const readSymlink = (): string | undefined => undefined;
export const makeSymlink = (): number => -E.NOSPC;

export function makeDirectory(path: string): number {
  if ($k.files.has(path)) return -E.EXIST;
  $k.create(path, "directory");
  return 0;
}

export function removeDirectory(path: string): number {
  return $k.files.delete(path) ? 0 : -E.NOENT;
}

interface SimulatedStat {
  readonly type: Inode["type"];
  readonly mode: number;
  readonly uid: number;
  readonly bytes: number;
  readonly allocatedBytes: number;
  readonly inode: number;
}

export function statPath(path: string): SimulatedStat | undefined {
  const proc = /^\/proc\/(\d+)\/fd\/(\d+)$/.exec(path);
  const inode = proc === null ? $k.files.get(path) : $k.find(Number(proc[1]))?.files[Number(proc[2])]?.inode;
  if (inode === undefined) return undefined;
  const { type, bytes, number } = inode;
  return { type, mode: 0o700, uid: 0, bytes, allocatedBytes: bytes, inode: number };
}

export const fileSystemSpace = (): { freeBytes: number; totalBytes: number; freeFiles: number; tmpfs: boolean } => ({
  freeBytes: 1 << 30,
  totalBytes: 1 << 30,
  freeFiles: 1 << 20,
  tmpfs: true,
});
export const isWritable = (): boolean => true;

// mapping.ts
export type Mapping = ReturnType<Kernel["mapped"]>;
export function mapFile(fd: number, length: number): Mapping | undefined {
  return $k.fails("memory") ? undefined : $k.mapped($k.file(fd).inode, length);
}

// text.ts
export function* writeText(bytes: Uint8Array, at: number, most: number, text: string): Steps<number> {
  return (yield* $k.encodeInto(encoder, text, bytes.subarray(at, at + most))).written;
}
export const textOf = (bytes: Uint8Array, from: number, to: number): string => decoder.decode(bytes.subarray(from, to));

// lock.ts
export function tryLockFile(fd: number): boolean {
  const file = $k.file(fd);
  const { inode } = file;
  if (inode.exclusive !== undefined || inode.sharers.size > 0) {
    // Whoever spins gives way at its next point, and mostly has its turn again when the lock is free.
    $k.left = 1;
    if ($k.below(8) !== 0) $k.current.wants = inode;
    return inode.exclusive === file;
  }
  inode.exclusive = file;
  return true;
}

export function trySharedLock(fd: number): boolean {
  const file = $k.file(fd);
  if (file.inode.exclusive !== undefined) return false;
  file.inode.sharers.add(file);
  return true;
}

export function unlockFile(fd: number): void {
  const file = $k.file(fd);
  if (file.inode.exclusive === file) file.inode.exclusive = undefined;
  file.inode.sharers.delete(file);
}

export function lockHolders(number: number): number[] {
  for (const inode of $k.files.values())
    if (inode.number === number && inode.exclusive !== undefined) return [inode.exclusive.process.pid];
  return [];
}

export function tryLockByte(fd: number, at: number): boolean {
  const file = $k.file(fd);
  const holder = file.inode.byteLocks.get(at);
  if (holder !== undefined) return holder === file;
  file.inode.byteLocks.set(at, file);
  return true;
}

export function isByteLocked(fd: number, at: number): boolean {
  if (!tryLockByte(fd, at)) return true;
  unlockByte(fd, at);
  return false;
}

export function unlockByte(fd: number, at: number): void {
  const file = $k.file(fd);
  if (file.inode.byteLocks.get(at) === file) file.inode.byteLocks.delete(at);
}

// clock.ts
export const monotonicMs = (): number => $k.now;
export const systemMs = (): number => $k.now;
export const unixSeconds = (): number => 1;
export function* sleepMs(ms: number): Steps<void> {
  if (ms <= 0) return;
  $k.current.wakeAt = $k.now + ms;
  yield 1;
}

// process.ts
interface SimulatedIdentity {
  readonly pid: number;
  readonly startTicks: number;
}

export function processState(pid: number): (SimulatedIdentity & { state: string; parentPid: number }) | undefined {
  const process = $k.find(pid);
  return process && { pid, startTicks: process.startTicks, state: process.state, parentPid: 1 };
}

export const ownIdentity = (): SimulatedIdentity => ({ pid: $k.current.pid, startTicks: $k.current.startTicks });
export const isAlive = ({ pid, startTicks }: SimulatedIdentity): boolean => $k.find(pid)?.startTicks === startTicks;
export const signalProcess = (pid: number, signal: number): boolean => $k.signal(pid, signal);
export const effectiveUid = (): number => 0;
export const bootId = (): string => "simulated";

// random.ts
export const randomId = (): string =>
  `${$k.below(1 << 30).toString(36)}${$k.below(1 << 30).toString(36)}`.padStart(12, "0");
export const randomWord = (): number => ($k.below(2 ** 31) | 1) >>> 0;
export const jitter = (): number => $k.below(1024) / 1024;

// tree.ts
export function listDirectory(path: string): string[] {
  const proc = /^\/proc\/(\d+)\/fd$/.exec(path);
  if (proc !== null) {
    const files = $k.find(Number(proc[1]))?.files ?? [];
    return [...files.keys()].filter((fd) => files[fd] !== undefined).map(String);
  }
  if ($k.fails("descriptors")) return [];
  const names: string[] = [];
  for (const name of $k.files.keys()) {
    if (name.startsWith(path) && name[path.length] === "/" && !name.includes("/", path.length + 1))
      names.push(name.slice(path.length + 1));
  }
  return names.sort();
}

export function* removeTree(path: string): Steps<boolean> {
  for (const name of [...$k.files.keys()]) {
    if (name !== path && !name.startsWith(`${path}/`)) continue;
    if ($k.p()) yield 1;
    $k.files.delete(name);
  }
  return true;
}

export function treeBytes(path: string): number {
  let bytes = 0;
  for (const [name, inode] of $k.files) if (name.startsWith(path)) bytes += inode.bytes;
  return bytes;
}

// fifo.ts
export function makeFifo(path: string): number {
  if ($k.fails("space")) return -E.NOSPC;
  return $k.open($k.create(path, "fifo"));
}

export function openToRing(path: string): number {
  const inode = $k.files.get(path);
  if (inode === undefined) return -E.NOENT;
  return inode.readers === 0 ? -E.NXIO : $k.open(inode, false);
}

export function ring(fd: number): boolean {
  const { inode } = $k.file(fd);
  if (inode.readers === 0) return false;
  inode.rung = true;
  $k.count("bell rung");
  return true;
}

export function* waitForRing(fd: number, timeoutMs: number): Steps<void> {
  const { inode } = $k.file(fd);
  if (!inode.rung) {
    $k.current.wakeAt = $k.now + timeoutMs;
    $k.current.bell = inode;
    yield 1;
  }
  inode.rung = false;
}

export function listenForRings(): () => void {
  throw new Error("the simulator has no event loop");
}

// libc.ts
export const E = { NOENT: 2, NXIO: 6, NOMEM: 12, EXIST: 17, NFILE: 23, MFILE: 24, NOSPC: 28, DQUOT: 122 } as const;
export const errorText = (number: number): string => `error ${number}`;
