/**
 * The simulated kernel: files in memory, locks, mappings, processes, a clock, and the turn-taking of them all. One thread, no
 * real time and no randomness but its own generator, so that a schedule is a function of its seed.
 *
 * The woven bus (`weave.ts`) calls `p`, `s` and the copies; `system.ts`, which stands in for `src/os`, calls the rest.
 */
import type { Steps } from "./steps.ts";

export interface Inode {
  readonly number: number;
  readonly type: "file" | "directory" | "fifo";
  bytes: number;
  /** As much as the file may ever have: a mapping must stay where it is while the file grows. */
  memory: Uint8Array;
  /** Holder of the exclusive `flock`. */
  exclusive: OpenFile | undefined;
  readonly sharers: Set<OpenFile>;
  readonly byteLocks: Map<number, OpenFile>;
  /** Open for reading: of a FIFO. */
  readers: number;
  rung: boolean;
}

export interface OpenFile {
  readonly inode: Inode;
  readonly process: Process;
  readonly reads: boolean;
}

/** One mapping; its arrays carry it as `$m`. */
interface Mapped {
  gone: boolean;
  /** Whoever stores into it must hold this file's lock; undefined for memory that no lock guards. */
  readonly guard: Inode | undefined;
}

export type Shared<T> = T & { $m?: Mapped };

export interface Process {
  readonly pid: number;
  readonly startTicks: number;
  state: "R" | "T" | "X";
  readonly files: (OpenFile | undefined)[];
  program: Steps<void>;
  /** Not to run before this time of the clock, ms. */
  wakeAt: number;
  /** A FIFO that wakes it. */
  bell: Inode | undefined;
  /** A file whose lock it failed to get: not to run before it is free, where others can. */
  wants: Inode | undefined;
  /** Stopped again by somebody each time it is continued. */
  stubborn: boolean;
}

const INDEX_BYTES = 20 * 1024;
const SIGKILL = 9;
const SIGCONT = 18;

export type Fault = "space" | "descriptors" | "memory";

/** Everything that happened, by name: the coverage that the test demands. */
export type Counters = Record<string, number>;

export class Kernel {
  /** Points passed so far. */
  steps = 0;
  /** Points until the running process must yield. */
  left = Number.POSITIVE_INFINITY;
  /** Milliseconds. */
  now = 1000;
  current: Process;
  n: Counters = {};
  files = new Map<string, Inode>();
  processes: Process[] = [];
  /** One of so many calls of each kind fails; 0 for none. */
  readonly odds: Record<Fault, number> = { space: 0, descriptors: 0, memory: 0 };
  /** What must never happen and did. */
  broken: string[] = [];
  onDeath: (process: Process) => void = () => undefined;
  onRare: (name: string) => void = () => undefined;
  private random = 1;
  private nextInode = 1;
  private readonly nobody: Process;

  constructor() {
    this.nobody = this.start(1, 0, (function* () {})());
    this.processes = [];
    this.current = this.nobody;
  }

  /** As after booting: nothing is there but what `image` holds. */
  reset(seed: number, image?: Image): void {
    this.random = seed >>> 0;
    this.steps = 0;
    this.left = Number.POSITIVE_INFINITY;
    this.now = image?.now ?? 1000;
    this.nextInode = image?.nextInode ?? 1;
    this.files = new Map();
    for (const [path, inode] of image?.files ?? []) this.files.set(path, copyOf(inode));
    this.processes = [];
    this.current = this.nobody;
    this.broken = [];
    for (const kind of ["space", "descriptors", "memory"] as const) this.odds[kind] = 0;
  }

  /** The files as they are, for `reset`. */
  image(): Image {
    const files = new Map([...this.files].map(([path, inode]) => [path, copyOf(inode)]));
    return { files, now: this.now, nextInode: this.nextInode };
  }

  /** An integer in [0, below). Mulberry32. */
  below(below: number): number {
    this.random = (this.random + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.random ^ (this.random >>> 15), this.random | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  // The points.

  /** A point that is no store. True where the process must yield. */
  p(): boolean {
    this.steps++;
    return --this.left <= 0;
  }

  /** A store into `array` is next. */
  s(array: Shared<Uint8Array | Uint32Array>): boolean {
    const mapped = array.$m;
    if (mapped !== undefined) {
      if (mapped.gone) this.broken.push("a store to memory that is no longer mapped");
      if (mapped.guard !== undefined && mapped.guard.exclusive?.process !== this.current)
        this.broken.push("a store without the shard's lock");
    }
    this.steps++;
    return --this.left <= 0;
  }

  /** `array.set(from, at)`, cut in two where a turn ends in it. */
  *set<T extends Uint8Array | Uint32Array>(array: T, from: T, at = 0): Steps<void> {
    if (!this.s(array)) return void array.set(from, at);
    const cut = this.below(from.length + 1);
    array.set(from.subarray(0, cut), at);
    yield 1;
    array.set(from.subarray(cut), at + cut);
  }

  *fill(array: Uint8Array | Uint32Array, value: number, from: number, to = array.length): Steps<void> {
    if (!this.s(array)) return void array.fill(value, from, to);
    // Half of the time early: what lies in front tells what the rest is.
    const most = this.below(2) === 0 ? Math.min(6, to - from) : to - from;
    const cut = from + this.below(Math.max(1, most));
    array.fill(value, from, cut);
    yield 1;
    array.fill(value, cut, to);
  }

  *encodeInto(encoder: TextEncoder, text: string, into: Shared<Uint8Array>): Steps<{ read: number; written: number }> {
    if (!this.s(into)) return encoder.encodeInto(text, into);
    const whole = encoder.encode(text);
    const cut = this.below(whole.length + 1);
    into.set(whole.subarray(0, cut));
    yield 1;
    return encoder.encodeInto(text, into);
  }

  *map<T, R>(all: readonly T[], each: (one: T, at: number) => Steps<R>): Steps<R[]> {
    const out: R[] = [];
    for (let at = 0; at < all.length; at++) out.push(yield* each(all[at] as T, at));
    return out;
  }

  *forEach<T>(all: readonly T[], each: (one: T, at: number) => Steps<void>): Steps<void> {
    for (let at = 0; at < all.length; at++) yield* each(all[at] as T, at);
  }

  *some<T>(all: readonly T[], each: (one: T) => Steps<boolean>): Steps<boolean> {
    for (const one of all) if (yield* each(one)) return true;
    return false;
  }

  *filter<T>(all: readonly T[], each: (one: T) => Steps<boolean>): Steps<T[]> {
    const out: T[] = [];
    for (const one of all) if (yield* each(one)) out.push(one);
    return out;
  }

  /** Runs what cannot be interrupted, a constructor's part, to its end. */
  run<T>(steps: Steps<T>): T {
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  }

  // Processes.

  start(pid: number, startTicks: number, program: Steps<void>): Process {
    const process: Process = {
      pid,
      startTicks,
      state: "R",
      files: [],
      program,
      wakeAt: 0,
      bell: undefined,
      wants: undefined,
      stubborn: false,
    };
    this.processes.push(process);
    return process;
  }

  /** What the kernel does when a process ends, however it does: its descriptors are closed, its locks free. */
  end(process: Process): void {
    if (process.state === "X") return;
    process.state = "X";
    for (let fd = 0; fd < process.files.length; fd++) this.closeOf(process, fd);
    this.processes = this.processes.filter((one) => one !== process);
    this.onDeath(process);
  }

  holdsLock(process: Process): boolean {
    return process.files.some((file) => file?.inode.exclusive === file && file !== undefined);
  }

  find(pid: number): Process | undefined {
    return this.processes.find((process) => process.pid === pid);
  }

  signal(pid: number, signal: number): boolean {
    const process = this.find(pid);
    if (process === undefined) return false;
    if (signal === SIGKILL) {
      this.count("killed by those it blocks");
      this.end(process);
    } else if (signal === SIGCONT && process.state === "T") {
      this.count("continued by those it blocks");
      // A stubborn one is stopped again at once, by whoever stopped it.
      if (!process.stubborn) process.state = "R";
    }
    return true;
  }

  /** A rare path of the bus begins: a good place for a misfortune. */
  begin(name: string): void {
    this.count(name);
    if (this.left < Number.POSITIVE_INFINITY) this.onRare(name);
  }

  count(name: string): void {
    this.n[name] = (this.n[name] ?? 0) + 1;
  }

  fails(kind: Fault): boolean {
    const odds = this.odds[kind];
    if (odds === 0 || this.below(odds) !== 0) return false;
    this.count(kind);
    return true;
  }

  // Files.

  create(path: string, type: Inode["type"]): Inode {
    const inode: Inode = {
      number: this.nextInode++,
      type,
      bytes: 0,
      memory: nothing,
      exclusive: undefined,
      sharers: new Set(),
      byteLocks: new Map(),
      readers: 0,
      rung: false,
    };
    this.files.set(path, inode);
    return inode;
  }

  /** A descriptor of the running process for an inode. */
  open(inode: Inode, reads = true): number {
    const { files } = this.current;
    let fd = 3;
    while (files[fd] !== undefined) fd++;
    files[fd] = { inode, process: this.current, reads };
    if (inode.type === "fifo" && reads) inode.readers++;
    return fd;
  }

  file(fd: number): OpenFile {
    const file = this.current.files[fd];
    if (file === undefined) throw new Error(`descriptor ${fd} is not open`);
    return file;
  }

  close(fd: number): void {
    this.closeOf(this.current, fd);
  }

  private closeOf(process: Process, fd: number): void {
    const file = process.files[fd];
    if (file === undefined) return;
    process.files[fd] = undefined;
    const { inode } = file;
    if (inode.exclusive === file) inode.exclusive = undefined;
    inode.sharers.delete(file);
    for (const [at, holder] of inode.byteLocks) if (holder === file) inode.byteLocks.delete(at);
    if (inode.type === "fifo" && file.reads) inode.readers--;
  }

  /** Makes the file at least `bytes` long. */
  grow(path: string | undefined, inode: Inode, bytes: number): void {
    if (inode.memory.length < bytes) {
      if (inode.bytes > 0) throw new Error(`${path ?? "a file"} outgrows its memory`);
      inode.memory = new Uint8Array(bytes > INDEX_BYTES / 2 ? INDEX_BYTES : bytes);
    }
    inode.bytes = Math.max(inode.bytes, bytes);
  }

  mapped(inode: Inode, length: number): { bytes: Uint8Array; words: Uint32Array; length: number; unmap: () => void } {
    if (inode.bytes < length) throw new Error("a mapping beyond the end of its file");
    const buffer = inode.memory.buffer;
    const bytes: Shared<Uint8Array> = new Uint8Array(buffer, 0, length);
    const words: Shared<Uint32Array> = new Uint32Array(buffer, 0, length >>> 2);
    const mapped: Mapped = { gone: false, guard: this.guardOf(inode) };
    bytes.$m = mapped;
    words.$m = mapped;
    const unmap = (): void => {
      mapped.gone = true;
    };
    return { bytes, words, length, unmap };
  }

  /** The lock that guards a file: of the shard that it is in. */
  private guardOf(inode: Inode): Inode | undefined {
    for (const [path, one] of this.files) {
      if (one === inode) return this.files.get(`${path.slice(0, path.lastIndexOf("/"))}/lock`);
    }
    return undefined;
  }
}

export interface Image {
  readonly files: ReadonlyMap<string, Inode>;
  readonly now: number;
  readonly nextInode: number;
}

const nothing = new Uint8Array(0);

/** A file without those that have it open. */
function copyOf(inode: Inode): Inode {
  return {
    number: inode.number,
    type: inode.type,
    bytes: inode.bytes,
    memory: inode.memory.length === 0 ? nothing : inode.memory.slice(),
    exclusive: undefined,
    sharers: new Set(),
    byteLocks: new Map(),
    readers: 0,
    rung: false,
  };
}
