/**
 * One shard: its files, its lock, and the words of its index.
 *
 * Everything that changes a shard happens while holding its lock, between two stores to the header's `dirty` word. The
 * kernel frees the lock when its holder dies, and then `dirty` tells the next holder that the index may be half-changed:
 * it rebuilds it from the records before doing anything else. So the index is a cache; the records are the truth.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs, sleepMs } from "../os/clock.ts";
import { allocateFile, closeFile, fileSize, makeDirectory, O, openFile, statPath } from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { lockHolders, tryLockFile, unlockFile } from "../os/lock.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";
import { processState, signalProcess } from "../os/process.ts";
import { jitter } from "../os/random.ts";
import { listDirectory } from "../os/tree.ts";
import { CHANGING, CLEAN, DAMAGED, H, LAYOUT, MAGIC_INDEX, SLOT_BYTES, SLOTS_BYTE } from "./layout.ts";
import { isHeaderSealed, sealHeader, setHeader } from "./seals.ts";

export interface Segment {
  readonly number: number;
  readonly mapping: Mapping;
}

/** What a shard is told of its bus's bounds. */
export interface ShardBounds {
  readonly segmentBytes: number;
  /** Segments and blobs of this shard together: bytes. */
  readonly bytesMost: number;
  /** Of one inbox's data: messages, and their bytes. */
  readonly inboxMessages: number;
  readonly inboxBytes: number;
}

export interface Shard extends ShardBounds {
  readonly dir: string;
  readonly lockFd: number;
  readonly indexFd: number;
  /** Byte ranges of this file are the leases and hosts' locks: `leases.ts`. */
  readonly leasesFd: number;
  index: Mapping;
  /** Shorter mappings of the index, kept until `closeShard`: somebody up the stack may be looking at one. */
  readonly outgrown: Mapping[];
  /** Mapped segments by table entry; a number that differs from the table's is of a segment since retired. */
  readonly segments: Map<number, Segment>;
  /** The mapping of the file `recycled`, if it is still the one of that number. */
  recycled: Segment | undefined;
  /** `counted`: its entries have been counted against the header, since it was mapped. */
  pairs: { number: number; mapping: Mapping; counted: boolean } | undefined;
  /** Where agents were last found. A hint, checked at each use. */
  readonly slotOf: Map<string, { readonly slot: number; readonly generation: number }>;
  /** Set by the bus: makes the index true again. */
  readonly rebuild: (shard: Shard) => void;
}

const ownPid = process.pid;
const SIGKILL = 9;
const SIGCONT = 18;

/** Throws try_again where the system has too little of something for now, else unavailable. */
export function fail(action: string, error: number): never {
  const passing: readonly number[] = [E.NOSPC, E.DQUOT, E.MFILE, E.NFILE, E.NOMEM];
  const code = passing.includes(error) ? "try_again" : "unavailable";
  const remedy =
    error === E.NOENT
      ? "its run has ended, or its bus was removed"
      : "free some space there, or set CFN_MESSAGE_BASE_DIR";
  throw new CfnError(code, `cannot ${action}: ${errorText(error)}`, remedy);
}

/**
 * The names in the shard's directory. Throws try_again where it cannot be listed: it is never empty, so this process is short
 * of descriptors then, and must not take that for an empty bus.
 */
export function filesOf(shard: Shard): string[] {
  const names = listDirectory(shard.dir);
  if (names.length === 0) fail(`list ${shard.dir}`, E.MFILE);
  return names;
}

/** Makes an empty shard. Throws try_again where the file system is full. */
export function createShard(dir: string): void {
  const bytes = SLOTS_BYTE + limits.slotsPerGrowth * SLOT_BYTES;
  makeDirectory(dir);
  for (const name of ["lock", "leases"]) {
    const fd = openFile(`${dir}/${name}`, O.RDWR | O.CREAT | O.EXCL);
    if (fd < 0) fail(`create ${dir}/${name}`, -fd);
    closeFile(fd);
  }
  globalThis.crashPoint?.("shard.locks_made");
  const fd = openFile(`${dir}/index`, O.RDWR | O.CREAT | O.EXCL);
  if (fd < 0) fail(`create ${dir}/index`, -fd);
  const allocated = allocateFile(fd, bytes);
  if (allocated < 0) fail(`reserve ${bytes} bytes for ${dir}/index`, -allocated);
  globalThis.crashPoint?.("shard.index_allocated");
  const mapping = mapFile(fd, bytes);
  closeFile(fd);
  if (mapping === undefined) fail(`map ${dir}/index`, E.NOMEM);
  const words = mapping.words;
  words[H.magic] = MAGIC_INDEX;
  words[H.layout] = LAYOUT;
  words[H.slotCapacity] = limits.slotsPerGrowth;
  words[H.nextNumber] = 1;
  sealHeader(words);
  mapping.unmap();
}

/** Opens a shard. Throws unavailable if it is gone. What is in its index is looked at by `withShard`. */
export function openShard(dir: string, bounds: ShardBounds, rebuild: (shard: Shard) => void): Shard {
  const open = (name: string): number => {
    const fd = openFile(`${dir}/${name}`, O.RDWR);
    if (fd < 0) fail(`open ${dir}/${name}`, -fd);
    return fd;
  };
  const indexFd = open("index");
  const bytes = fileSize(indexFd);
  if (bytes < SLOTS_BYTE) {
    closeFile(indexFd);
    throw new CfnError(
      "unavailable",
      `${dir}/index is damaged: it has ${bytes} bytes of at least ${SLOTS_BYTE}`,
      "remove the bus and start the run again",
    );
  }
  const index = mapFile(indexFd, bytes & ~7);
  if (index === undefined) {
    closeFile(indexFd);
    fail(`map ${dir}/index`, E.NOMEM);
  }
  return {
    dir,
    ...bounds,
    lockFd: open("lock"),
    indexFd,
    leasesFd: open("leases"),
    index,
    outgrown: [],
    segments: new Map(),
    recycled: undefined,
    pairs: undefined,
    slotOf: new Map(),
    rebuild,
  };
}

export function closeShard(shard: Shard): void {
  for (const segment of shard.segments.values()) segment.mapping.unmap();
  shard.segments.clear();
  shard.recycled?.mapping.unmap();
  shard.recycled = undefined;
  shard.pairs?.mapping.unmap();
  shard.pairs = undefined;
  for (const mapping of [shard.index, ...shard.outgrown]) mapping.unmap();
  for (const fd of [shard.lockFd, shard.indexFd, shard.leasesFd]) closeFile(fd);
}

/** Maps what others have added to the index since it was mapped. */
export function refreshIndex(shard: Shard): void {
  const capacity = Atomics.load(shard.index.words, H.slotCapacity);
  const bytes = SLOTS_BYTE + capacity * SLOT_BYTES;
  if (bytes <= shard.index.length || bytes > fileSize(shard.indexFd)) return;
  const larger = mapFile(shard.indexFd, bytes);
  if (larger === undefined) fail(`map ${shard.dir}/index`, E.NOMEM);
  shard.outgrown.push(shard.index);
  shard.index = larger;
}

/** Adds `limits.slotsPerGrowth` slots. Under the lock, between `dirty` and `clean`. 0 or a negated error number. */
export function growIndex(shard: Shard): number {
  const capacity = (shard.index.words[H.slotCapacity] as number) + limits.slotsPerGrowth;
  globalThis.crashPoint?.("index.begun");
  const allocated = allocateFile(shard.indexFd, SLOTS_BYTE + capacity * SLOT_BYTES);
  if (allocated < 0) return allocated;
  globalThis.crashPoint?.("index.allocated");
  setHeader(shard.index.words, H.slotCapacity, capacity);
  globalThis.crashPoint?.("index.grown");
  refreshIndex(shard);
  return 0;
}

/** Runs `change` holding the shard's lock, on an index that is true. Throws try_again after `limits.lockWaitMs`, or later on a crowded machine. */
export function withShard<T>(shard: Shard, change: () => T): T {
  if (!tryLockFile(shard.lockFd)) waitForLock(shard);
  return locked(shard, change);
}

/** The same where the lock is free; where it is not nothing is done. For what can be done another time. */
export function ifFree(shard: Shard, change: () => void): void {
  if (tryLockFile(shard.lockFd)) locked(shard, change);
}

function locked<T>(shard: Shard, change: () => T): T {
  let words = shard.index.words;
  words[H.turns] = (words[H.turns] as number) + 1;
  words[H.holderPid] = ownPid;
  try {
    const state = Atomics.load(words, H.dirty);
    if (state === CHANGING) rebuild(shard);
    else if (state !== CLEAN || !isHeaderSealed(words)) repair(shard);
    refreshIndex(shard);
    return change();
  } finally {
    words = shard.index.words;
    words[H.holderPid] = 0;
    unlockFile(shard.lockFd);
  }
}

function rebuild(shard: Shard): void {
  shard.rebuild(shard);
  Atomics.store(shard.index.words, H.dirty, CLEAN);
}

/** Makes the index true again after something was found that nobody writes. Under the lock. */
export function repair(shard: Shard): void {
  Atomics.store(shard.index.words, H.dirty, DAMAGED);
  rebuild(shard);
}

/** Leaves the repair to the next holder, from the middle of a change that can be finished. */
export function suspect(shard: Shard): void {
  Atomics.store(shard.index.words, H.dirty, DAMAGED);
}

/** From here until `clean` a death leaves the index for the next holder to rebuild. */
export function dirty(shard: Shard): void {
  Atomics.compareExchange(shard.index.words, H.dirty, CLEAN, CHANGING);
}

/** The index is true again, unless it was found damaged on the way. */
export function clean(shard: Shard): void {
  Atomics.compareExchange(shard.index.words, H.dirty, CHANGING, CLEAN);
}

/** Whether the index is true, as seen without the lock: false as well while somebody changes it. */
export const isClean = (shard: Shard): boolean => Atomics.load(shard.index.words, H.dirty) === CLEAN;

/** What repairs that did not repair end in. */
export const beyondRepair = (shard: Shard): CfnError =>
  new CfnError(
    "unavailable",
    `${shard.dir}/index is damaged, and again after its repair`,
    "see who writes to it, then remove the bus and start the run again",
  );

/** Of so many looks for a stopped holder one asks the kernel in any case. */
const KERNEL_ONE_IN = 10;

/** How long, and how often at most, a waiter looks before it sleeps: for twice as long as most hold the lock. */
const SPIN_MS = 0.05;
const SPINS = 1000;

/** Bound of a pause between two tries: short enough not to be noticed, long enough not to burn a core. */
const PAUSE_MOST_MS = 4;

/**
 * Who gets a processor once in a while only, among hundreds that want one, has hardly tried when the time is over: below so many
 * tries it has this many times as long.
 */
const TRIES_LEAST = 1000;
const PATIENCE = 6;

/** This process's waits for locks that were not free at once. */
export const lockWaits = { count: 0, ms: 0, mostMs: 0 };

function waitForLock(shard: Shard): void {
  const start = monotonicMs();
  awaitTurn(shard, start);
  const ms = monotonicMs() - start;
  lockWaits.count++;
  lockWaits.ms += ms;
  lockWaits.mostMs = Math.max(lockWaits.mostMs, ms);
}

function awaitTurn(shard: Shard, start: number): void {
  // A critical section is a few microseconds: another core usually leaves it while we spin. Its holder takes back its name just
  // before it frees the lock; until then a look at that costs nobody anything, and a try of the lock both of us a system call.
  const { words } = shard.index;
  for (let spin = 0; spin < SPINS && monotonicMs() - start < SPIN_MS; spin++)
    if (Atomics.load(words, H.holderPid) === 0 && tryLockFile(shard.lockFd)) return;
  let pause = 0.02;
  let suspectAt = start + limits.lockStoppedHolderMs;
  let continued = false;
  let looks = 0;
  let tries = 0;
  let turns = Atomics.load(shard.index.words, H.turns);
  for (;;) {
    sleepMs(pause * (0.5 + jitter()));
    if (tryLockFile(shard.lockFd)) return;
    pause = Math.min(pause * 1.5, PAUSE_MOST_MS);
    tries++;
    const now = monotonicMs();
    const turn = Atomics.load(shard.index.words, H.turns);
    if (turn !== turns) {
      // It goes from hand to hand: in a crowd of hundreds, looking for one who is stopped would be most of what they do.
      turns = turn;
      suspectAt = now + limits.lockStoppedHolderMs;
    } else if (now >= suspectAt) {
      continued = unblock(shard, continued, ++looks % KERNEL_ONE_IN === 0);
      suspectAt = now + limits.lockStoppedHolderMs;
    }
    if (now - start > limits.lockWaitMs * (tries < TRIES_LEAST ? PATIENCE : 1)) {
      const pid = shard.index.words[H.holderPid];
      throw new CfnError(
        "try_again",
        `${shard.dir}/lock was not free within ${Math.round(now - start)} ms and ${tries} tries (held by pid ${pid})`,
        "see what that process is doing, or whether the machine has more to do than it can, then try again",
      );
    }
  }
}

/**
 * A holder that was stopped in its critical section blocks everybody: it is continued, and at the next look killed, which
 * is safe because its half-made change is repaired. Nothing is done to a holder that runs, nor to a process that does not
 * have the lock's file open: the pid may be a dead holder's, and somebody else's by now.
 */
function unblock(shard: Shard, continued: boolean, doubts: boolean): boolean {
  const inode = statPath(`${shard.dir}/lock`)?.inode;
  if (inode === undefined) return false;
  const named = Atomics.load(shard.index.words, H.holderPid);
  const state = named === 0 ? undefined : processState(named)?.state;
  // Who has said that it holds the lock, and is not stopped, only waits for a processor. The kernel is not asked then: /proc/locks
  // makes every lock of the machine wait, and a crowd of hundreds that all read it would wait for nothing else. Now and then it is
  // asked all the same (`doubts`): the name may be a dead holder's, whose pid somebody else has got.
  if (!doubts && named !== ownPid && state !== undefined && !isStopped(state) && hasOpen(named, inode)) return false;
  // The kernel's word first: a holder may be stopped before it has said who it is, or after it has taken that back.
  const holders = lockHolders(inode);
  if (holders.length === 0) holders.push(named);
  for (const pid of holders) {
    const now = pid === 0 ? undefined : processState(pid)?.state;
    if (!isStopped(now) || !hasOpen(pid, inode)) continue;
    signalProcess(pid, continued ? SIGKILL : SIGCONT);
    return true;
  }
  return false;
}

const isStopped = (state: string | undefined): boolean => state === "T" || state === "t";

function hasOpen(pid: number, inode: number): boolean {
  const files = `/proc/${pid}/fd`;
  return listDirectory(files).some((fd) => statPath(`${files}/${fd}`, true)?.inode === inode);
}
