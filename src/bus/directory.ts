/**
 * Where buses are, and who owns them. A bus is a directory below a base; the base is private to one user.
 *
 * A bus comes into being whole: it is built under a hidden name and renamed. Whoever runs on it holds a shared lock on its
 * file `owner`; a bus whose lock nobody holds belongs to the dead. /dev/shm is writable by everyone, so a directory that
 * is a symbolic link, is somebody else's or is open to others is refused, never repaired.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  closeFile,
  fileSystemSpace,
  isWritable,
  makeDirectory,
  O,
  openFile,
  readText,
  removeDirectory,
  renameFile,
  replaceFile,
  type Space,
  statPath,
} from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { tryLockFile, trySharedLock, unlockFile } from "../os/lock.ts";
import { bootId, effectiveUid, isAlive, ownIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";
import { listDirectory, removeTree } from "../os/tree.ts";
import { LAYOUT } from "./layout.ts";
import { type BusBounds, checkBounds, type Meta, metaText, parseMeta } from "./meta.ts";
import { createShard } from "./shard.ts";

export type Env = Readonly<Record<string, string | undefined>>;

const SHM = "/dev/shm";
/** How often to look again: a run that ends or begins removes an empty base, perhaps while another looks at it or makes its bus there. */
const LOOKS = 20;
/** Begins the name of a run's bus; the run's id follows. */
const RUN = "run-";

/** The bases that this environment may mean, the preferred one first. */
function candidates(env: Env): string[] {
  const explicit = env["CFN_MESSAGE_BASE_DIR"];
  if (explicit !== undefined && explicit !== "") {
    if (!explicit.startsWith("/") || explicit.includes("\0")) {
      throw new CfnError("usage", `CFN_MESSAGE_BASE_DIR is "${explicit}"`, "give an absolute path");
    }
    return [explicit.replace(/\/+$/, "")];
  }
  const uid = effectiveUid();
  const name = uid === 0 ? "cfn" : `cfn-${uid}`;
  const runtime = env["XDG_RUNTIME_DIR"];
  const bases = [`${SHM}/${name}`];
  if (runtime?.startsWith("/")) bases.push(`${runtime}/cfn`);
  bases.push(`${env["TMPDIR"]?.startsWith("/") ? env["TMPDIR"] : "/tmp"}/cfn-${uid}`);
  return bases;
}

/** Why no bus can be made below `parent`; undefined if one can. */
function unfit(parent: string): string | undefined {
  const space = fileSystemSpace(parent);
  if (space === undefined) return `${parent} does not exist`;
  if (!isWritable(parent)) return `${parent} is not writable`;
  const free = space.freeBytes;
  if (free < 2 * limits.busBytesLeast)
    return `${parent} has ${free} bytes free of the ${2 * limits.busBytesLeast} that a bus needs`;
  if (space.freeFiles < limits.busFilesLeast)
    return `${parent} has room for ${space.freeFiles} files of the ${limits.busFilesLeast} that a bus needs`;
  return undefined;
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

export interface Base {
  readonly dir: string;
  /** The directory whose file system holds it, or would: itself where it is there. */
  readonly place: string;
  /** Why it cannot serve, and the next one is taken. */
  readonly unfit: string | undefined;
  /** Why a bus in it would be refused, were it taken: it is there, and not ours alone. */
  readonly unsafe: CfnError | undefined;
}

/** The bases that new buses may be in, the preferred one first. Throws CfnError("usage") for a base that is no absolute path. */
export function basesOf(env: Env): Base[] {
  return candidates(env).map((dir) => {
    let base = baseAt(dir);
    for (let n = 0; n < LOOKS && (base.unfit !== undefined || base.unsafe !== undefined); n++) base = baseAt(dir);
    return base;
  });
}

function baseAt(dir: string): Base {
  const there = statPath(dir) !== undefined;
  const place = there ? dir : parentOf(dir);
  return { dir, place, unfit: unfit(place), unsafe: there ? unsafety(dir) : undefined };
}

/**
 * The base directory for new buses: CFN_MESSAGE_BASE_DIR, else /dev/shm/cfn (root) or /dev/shm/cfn-<uid>, else, where
 * /dev/shm cannot serve, one below XDG_RUNTIME_DIR or TMPDIR with a warning to show once. Not created yet.
 *
 * @throws CfnError unavailable, if none of them can serve; it names each with its reason.
 */
export function busBase(env: Env): { readonly dir: string; readonly warning?: string } {
  const reasons: string[] = [];
  for (const { dir, unfit: reason } of basesOf(env)) {
    if (reason === undefined) {
      return reasons.length === 0
        ? { dir }
        : { dir, warning: `${reasons.join("; ")}: the bus is in ${dir} instead, which may be slower` };
    }
    reasons.push(reason);
  }
  throw new CfnError(
    "unavailable",
    `no place for a bus: ${reasons.join("; ")}`,
    "free some space there, or set CFN_MESSAGE_BASE_DIR",
  );
}

/** Makes a directory that is ours alone, or checks that it is. False if somebody else has just removed it. */
function secureDirectory(path: string): boolean {
  const made = makeDirectory(path, 0o700);
  if (made === 0) return true;
  if (made !== -E.EXIST) {
    throw new CfnError(
      "cannot_create",
      `cannot create ${path}: ${errorText(-made)}`,
      "set CFN_MESSAGE_BASE_DIR to a directory you may write",
    );
  }
  const stat = statPath(path);
  if (stat === undefined) return false;
  const error = unsafety(path, stat);
  if (error !== undefined) throw error;
  return true;
}

function checkOwned(path: string): void {
  const error = unsafety(path);
  if (error !== undefined) throw error;
}

/** Why a directory is not ours alone; undefined if it is. */
function unsafety(path: string, stat = statPath(path)): CfnError | undefined {
  if (stat === undefined)
    return new CfnError(
      "unavailable",
      `${path} is gone`,
      "start the run again; RemoveIPC=yes in logind.conf deletes it at logout",
    );
  const remedy = "remove it, or set CFN_MESSAGE_BASE_DIR to a directory of your own";
  if (stat.type !== "directory") return new CfnError("refused", `${path} is a ${stat.type}, not a directory`, remedy);
  if (stat.uid !== effectiveUid()) return new CfnError("refused", `${path} belongs to user ${stat.uid}`, remedy);
  if ((stat.mode & 0o077) !== 0)
    return new CfnError("refused", `${path} is open to others (mode ${stat.mode.toString(8)})`, `chmod 700 ${path}`);
  return undefined;
}

/** Claims held by this process, by bus directory: the descriptor that carries the lock. */
const claims = new Map<string, number>();

/**
 * Holds the bus as living until the returned function is called or the process dies. Any number of processes may.
 *
 * @throws CfnError unavailable, if the bus is being removed.
 */
export function claimBus(dir: string): () => void {
  let fd = claims.get(dir);
  if (fd === undefined) {
    fd = openFile(`${dir}/owner`, O.RDWR);
    if (fd < 0 || !trySharedLock(fd)) {
      if (fd >= 0) closeFile(fd);
      throw new CfnError("unavailable", `the bus ${dir} is being removed`, "try again");
    }
    claims.set(dir, fd);
  }
  const held = fd;
  return () => {
    if (claims.get(dir) !== held) return;
    claims.delete(dir);
    closeFile(held);
  };
}

/** Whether a living process claims the bus. */
function isClaimed(dir: string): boolean {
  if (claims.has(dir)) return true;
  const fd = openFile(`${dir}/owner`, O.RDWR);
  if (fd < 0) return false;
  const free = tryLockFile(fd);
  if (free) unlockFile(fd);
  closeFile(fd);
  return !free;
}

/** The bound of a bus made in so much free space. */
export const busBytesIn = (freeBytes: number, wanted: number = limits.busBytes): number =>
  Math.min(wanted, Math.floor(freeBytes / 2));

/** Each shard costs whoever opens it a dozen system calls, and whoever sends the first message into it three files. */
const FEW_SHARDS = 2;

/** How a bus is cut for the space there is: half of what is free, in few and small shards where that is little, in few for few agents. */
function plan(space: Space, options: BusBounds): Omit<Meta, "magic" | "layout" | "uuid" | "boot_id"> {
  const busBytes = busBytesIn(space.freeBytes, options.busBytes);
  const roomy = busBytes >= limits.busBytes / 4;
  const usual = roomy ? limits.shardsDefault : busBytes >= 2 * limits.busBytesLeast ? 4 : FEW_SHARDS;
  const isFew = (options.agents ?? Number.POSITIVE_INFINITY) <= limits.agentsOnFewShards;
  // They hold no more than their tables of segments list.
  const fits = busBytes <= FEW_SHARDS * limits.segmentsPerShard * limits.segmentBytes;
  const shards = options.shards ?? (isFew && fits ? FEW_SHARDS : usual);
  return {
    shards,
    segment_bytes: roomy ? limits.segmentBytes : limits.segmentBytesSmall,
    bus_bytes: busBytes,
    inbox_messages: options.inboxMessages ?? limits.inboxMessages,
    inbox_bytes: options.inboxBytes ?? limits.inboxBytes,
  };
}

/**
 * Makes a bus and claims it for this process. Does nothing but claim if it is there already.
 *
 * @throws CfnError usage for a bound that no bus may have, refused for an unsafe directory, cannot_create or unavailable where there is no room or permission.
 */
export function createBus(dir: string, options: BusBounds = {}): void {
  checkBounds(options);
  const base = parentOf(dir);
  for (let n = 0; n <= LOOKS; n++) {
    if (!secureDirectory(base)) continue;
    if (isBus(dir)) {
      checkOwned(dir);
      claimBus(dir);
      return;
    }
    const { pid, startTicks } = ownIdentity();
    const hidden = `${base}/.new-${pid}-${startTicks}-${randomId()}`;
    const made = makeDirectory(hidden, 0o700);
    if (made === -E.NOENT) continue;
    if (made < 0)
      throw new CfnError("cannot_create", `cannot create ${hidden}: ${errorText(-made)}`, "set CFN_MESSAGE_BASE_DIR");
    globalThis.crashPoint?.("create.hidden");
    try {
      build(hidden, options);
    } catch (error) {
      removeTree(hidden);
      throw error;
    }
    globalThis.crashPoint?.("create.built");
    const owner = openFile(`${hidden}/owner`, O.RDWR);
    trySharedLock(owner);
    globalThis.crashPoint?.("create.owned");
    if (renameFile(hidden, dir) === 0) {
      globalThis.crashPoint?.("create.shown");
      claims.set(dir, owner);
      return;
    }
    // Somebody else was quicker: theirs is the bus.
    closeFile(owner);
    removeTree(hidden);
  }
  throw new CfnError("cannot_create", `cannot create the bus ${dir}: others keep removing it`, "try again");
}

function build(dir: string, options: BusBounds): void {
  const space = fileSystemSpace(dir) as Space;
  const shape = plan(space, options);
  const meta: Meta = { magic: "cfn-bus", layout: LAYOUT, uuid: randomId(), boot_id: bootId(), ...shape };
  const must = (path: string, outcome: number): void => {
    if (outcome >= 0) return;
    throw new CfnError("cannot_create", `cannot create ${path}: ${errorText(-outcome)}`, "free some space there");
  };
  for (const part of ["shards", "blobs", "agents", "bells", "bin"])
    must(`${dir}/${part}`, makeDirectory(`${dir}/${part}`));
  globalThis.crashPoint?.("create.parts");
  for (let n = 0; n < shape.shards; n++) createShard(`${dir}/shards/${shardName(n)}`);
  globalThis.crashPoint?.("create.shard_made");
  must(`${dir}/meta`, replaceFile(`${dir}/meta`, metaText(meta)));
  const owner = openFile(`${dir}/owner`, O.RDWR | O.CREAT);
  must(`${dir}/owner`, owner);
  closeFile(owner);
}

export const shardName = (n: number): string => String(n).padStart(2, "0");

/** Whether there is a bus in this directory. */
export const isBus = (dir: string): boolean => statPath(`${dir}/meta`) !== undefined;

/**
 * Reads a bus's parameters.
 *
 * @throws CfnError refused, if the directory is not safe; unavailable, if it is no bus of this version and boot.
 */
export function readMeta(dir: string): Meta {
  checkOwned(dir);
  return parseMeta(dir, readText(`${dir}/meta`, 4096));
}

function busesBelow(bases: readonly string[]): string[] {
  const found: string[] = [];
  for (const base of bases) {
    for (const name of listDirectory(base)) {
      if (!name.startsWith(".") && isBus(`${base}/${name}`)) found.push(`${base}/${name}`);
    }
  }
  return found;
}

/**
 * The bus of the living run whose id begins with these letters.
 *
 * @throws CfnError not_found, if there is none; usage, if there are several: it names them.
 */
export function locateRun(env: Env, run: string): string {
  const found = busesBelow(candidates(env)).filter((dir) => runOf(dir)?.startsWith(run) && isClaimed(dir));
  if (found.length === 1) return found[0] as string;
  if (found.length === 0)
    throw new CfnError("not_found", `no run ${run} is under way`, "cfn status without a run shows the one that is");
  throw new CfnError(
    "usage",
    `${found.length} runs begin with ${run}: ${found.map(runOf).join(", ")}`,
    "say more of it",
  );
}

/** The id of the run that a bus belongs to; undefined for one that is nobody's. */
export const runOf = (dir: string): string | undefined => /\/run-([a-z0-9]+)$/.exec(dir)?.[1];

/**
 * The bus that a message command joins: CFN_BUS_DIR, else the one bus below the base that is alive, else the default one.
 *
 * @throws CfnError not_found, if there is none; usage, if there are several: it names them.
 */
export function locateBus(env: Env): string {
  const given = env["CFN_BUS_DIR"];
  if (given !== undefined && given !== "") return given.replace(/\/+$/, "");
  const bases = candidates(env);
  const found = busesBelow(bases);
  const living = found.length > 1 ? found.filter(isClaimed) : found;
  if (living.length === 1) return living[0] as string;
  if (living.length > 1) {
    throw new CfnError(
      "usage",
      `${living.length} buses are alive: ${living.join(", ")}`,
      "say which: CFN_BUS_DIR=… or --bus DIR",
    );
  }
  throw new CfnError(
    "not_found",
    `no bus below ${bases.join(" or ")}`,
    "start one: cfn run … or cfn agent ID -- command",
  );
}

/** The buses of living runs below the bases that this environment may mean. */
export function livingRuns(env: Env): { readonly runId: string; readonly dir: string }[] {
  const runs: { readonly runId: string; readonly dir: string }[] = [];
  for (const base of candidates(env)) {
    for (const name of listDirectory(base)) {
      const dir = `${base}/${name}`;
      if (name.startsWith(RUN) && isBus(dir) && isClaimed(dir)) runs.push({ runId: name.slice(RUN.length), dir });
    }
  }
  return runs;
}

/** Removes a bus and, if it was the last one, the base. */
export function destroyBus(dir: string): void {
  globalThis.crashPoint?.("destroy.begun");
  const fd = claims.get(dir);
  claims.delete(dir);
  // Out of sight first, so that nobody opens what is being taken apart.
  const hidden = `${parentOf(dir)}/.old-${ownIdentity().pid}-${ownIdentity().startTicks}-${randomId()}`;
  const shown = renameFile(dir, hidden) === 0 ? hidden : dir;
  globalThis.crashPoint?.("destroy.hidden");
  removeTree(shown);
  globalThis.crashPoint?.("destroy.removed");
  if (fd !== undefined) closeFile(fd);
  removeEmptyBase(parentOf(dir));
}

/** Only a base named as ours: one that the user made and named for us is the user's. */
function removeEmptyBase(base: string): void {
  if (!base.slice(base.lastIndexOf("/") + 1).startsWith("cfn")) return;
  if (listDirectory(base).length === 0) removeDirectory(base);
}

/** Whether what has this name below a base is a dead run's bus, or was left half-made by a creator or remover that died. */
function isDead(base: string, name: string): boolean {
  const maker = /^\.(?:new|old)-(\d+)-(\d+)-/.exec(name);
  if (maker !== null) return !isAlive({ pid: Number(maker[1]), startTicks: Number(maker[2]) });
  return name.startsWith("run-") && !isClaimed(`${base}/${name}`);
}

/** What `sweepDeadBuses` would remove: names below the base. */
export const deadBuses = (base: string): string[] =>
  statPath(base)?.uid === effectiveUid() ? listDirectory(base).filter((name) => isDead(base, name)) : [];

/**
 * Removes the buses of dead runs (`run-…`) below a base, and what creators and removers that died left half-made. Never
 * the default bus: its inboxes may hold mail for agents that come back.
 *
 * @returns the names of the runs removed.
 */
export function sweepDeadBuses(base: string): string[] {
  if (statPath(base)?.uid !== effectiveUid()) return [];
  const removed = listDirectory(base).filter((name) => removeDead(base, name) && name.startsWith("run-"));
  removeEmptyBase(base);
  return removed;
}

/** Removes one of `deadBuses`, if it still is dead. */
export function removeDead(base: string, name: string): boolean {
  if (!isDead(base, name)) return false;
  globalThis.crashPoint?.("sweep.dead_bus");
  if (name.startsWith(".")) removeTree(`${base}/${name}`);
  else destroyBus(`${base}/${name}`);
  return true;
}
