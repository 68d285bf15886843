/**
 * Where journals are: `$XDG_STATE_HOME/cfn/runs/<UTC, to the millisecond>-<run id>/`, a folder per run, private to its user.
 *
 * A folder comes into being whole: it is filled under a hidden name and renamed. Its file `owner` is locked as long as
 * somebody works on the run: the master from start to end, and whoever clears up after a killed master with a descriptor
 * inherited from it. The lock says whether a folder is free; the text of the file says who took it.
 */
import type { Env } from "../bus/directory.ts";
import { CfnError } from "../errors.ts";
import {
  closeFile,
  makeDirectory,
  O,
  openFile,
  readBytes,
  renameFile,
  seekTo,
  statPath,
  writeAll,
} from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { tryLockFile } from "../os/lock.ts";
import { bootId, effectiveUid, isAlive, ownIdentity, type ProcessIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";
import { listDirectory, removeTree } from "../os/tree.ts";

export interface RunFolder {
  readonly path: string;
  readonly runId: string;
}

/** Folders of before the milliseconds are still known. */
const NAME = /^[0-9]{8}T[0-9]{6}(?:\.[0-9]{3})?-([a-z0-9]+)$/;
const DAY_MS = 24 * 3600 * 1000;
const OWNER_BYTES = 96;

const cannot = (what: string, why: string): CfnError => new CfnError("cannot_create", `cannot use ${what}: ${why}`);

/**
 * The directory of the journals; not made yet. XDG_STATE_HOME counts where it is absolute, else it is below HOME.
 *
 * @throws CfnError cannot_create, where the environment names neither
 */
export function journalRoot(env: Env): string {
  const absolute = (path: string | undefined): string | undefined =>
    path?.startsWith("/") && !path.includes("\0") ? path.replace(/\/+$/, "") : undefined;
  const home = absolute(env["HOME"]);
  const state = absolute(env["XDG_STATE_HOME"]) ?? (home === undefined ? undefined : `${home}/.local/state`);
  if (state === undefined) throw new CfnError("cannot_create", "neither XDG_STATE_HOME nor HOME names a directory");
  return `${state}/cfn/runs`;
}

/** As a folder's name has it: 20260131T235959.123, UTC. So names are in the order in which runs began. */
const stampOf = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replaceAll(/[-:]/g, "");

/** Makes the root and what is missing above it, 0700. What is ours may be no symbolic link, and nobody else's to write. */
function secureRoot(root: string): void {
  const state = root.slice(0, -"/cfn/runs".length);
  for (let at = state.indexOf("/", 1); ; at = state.indexOf("/", at + 1)) {
    const path = at < 0 ? state : state.slice(0, at);
    const made = path === "" ? 0 : makeDirectory(path, 0o700);
    // Whatever else is wrong on the way, the next step meets it again.
    if (made < 0 && made !== -E.EXIST && statPath(path, true) === undefined) throw cannot(path, errorText(-made));
    if (at < 0) break;
  }
  for (const path of [`${state}/cfn`, root]) {
    const made = makeDirectory(path, 0o700);
    if (made === 0) continue;
    if (made !== -E.EXIST) throw cannot(path, errorText(-made));
    checkOwn(path);
  }
}

/** @throws CfnError cannot_create, for a directory that others could change, or that is none */
function checkOwn(path: string): void {
  const stat = statPath(path);
  if (stat === undefined) throw cannot(path, errorText(E.NOENT));
  if (stat.type !== "directory") throw cannot(path, `it is a ${stat.type}, not a directory`);
  if (stat.uid !== effectiveUid()) throw cannot(path, `it belongs to user ${stat.uid}`);
  if ((stat.mode & 0o022) !== 0) throw cannot(path, `others may write there (mode ${stat.mode.toString(8)})`);
}

/** The folders below a root, the newest run first, by their names alone: a directory of thousands costs no look at each. */
export const listJournals = (root: string): RunFolder[] => journalsAmong(root, listDirectory(root));

function journalsAmong(root: string, names: readonly string[]): RunFolder[] {
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .reverse()
    .map((name) => ({ path: `${root}/${name}`, runId: name.slice(name.indexOf("-") + 1) }));
}

/** A folder made by `makeJournal`, or by `takeJournal` made this process's. */
export interface HeldFolder extends RunFolder {
  /** The descriptor of `owner`, locked. Whoever inherits it keeps the run from being resumed until it ends. */
  readonly ownerFd: number;
}

/** Which journals stay when a new one is made. */
export interface Kept {
  readonly days: number;
  /** The newest, the new one among them. */
  readonly keep: number;
}

/**
 * Makes the folder of a run, removing old ones; `fill` writes into it before it has its name.
 *
 * @throws CfnError cannot_create
 */
export function makeJournal(
  root: string,
  runId: string,
  nowMs: number,
  kept: Kept,
  fill: (path: string) => void,
): HeldFolder {
  secureRoot(root);
  pruneJournals(root, nowMs, kept);
  const { pid, startTicks } = ownIdentity();
  const hidden = `${root}/.new-${pid}-${startTicks}-${randomId()}`;
  const made = makeDirectory(hidden, 0o700);
  if (made < 0) throw cannot(hidden, errorText(-made));
  let ownerFd = -1;
  try {
    ownerFd = openFile(`${hidden}/owner`, O.RDWR | O.CREAT | O.EXCL);
    if (ownerFd < 0) throw cannot(`${hidden}/owner`, errorText(-ownerFd));
    if (!tryLockFile(ownerFd)) throw cannot(`${hidden}/owner`, "its file system has no locks");
    signOwner(ownerFd);
    fill(hidden);
    const path = `${root}/${stampOf(nowMs)}-${runId}`;
    const renamed = renameFile(hidden, path);
    if (renamed < 0) throw cannot(path, errorText(-renamed));
    return { path, runId, ownerFd };
  } catch (error) {
    if (ownerFd >= 0) closeFile(ownerFd);
    removeTree(hidden);
    throw error;
  }
}

/** Says in `owner` that it is this process's. One write of a fixed length: nobody reads half of it. */
function signOwner(fd: number): void {
  const { pid, startTicks } = ownIdentity();
  seekTo(fd, 0);
  writeAll(fd, new TextEncoder().encode(`${`${pid} ${startTicks} ${bootId()}`.padEnd(OWNER_BYTES - 1)}\n`));
}

/** Who signed last, if that was in this boot of the machine. */
function signerOf(path: string): ProcessIdentity | undefined {
  const [pid, startTicks, boot] = new TextDecoder()
    .decode(readBytes(`${path}/owner`, 4096))
    .trim()
    .split(" ");
  return boot === bootId() ? { pid: Number(pid), startTicks: Number(startTicks) } : undefined;
}

/** The pid of the living master of a run; undefined where it has ended, even if others still clear up after it. */
export function masterOf(folder: RunFolder): number | undefined {
  const fd = openFile(`${folder.path}/owner`, O.RDWR | O.NOFOLLOW);
  if (fd < 0) return undefined;
  const free = tryLockFile(fd);
  closeFile(fd);
  const signer = free ? undefined : signerOf(folder.path);
  return signer !== undefined && isAlive(signer) ? signer.pid : undefined;
}

/**
 * Calls `use` while nobody can take the run, to resume it: the lock is held meanwhile. False, and not called, while others work
 * on it or still clear up after it.
 */
export function isFree(folder: RunFolder, use: () => void = () => undefined): boolean {
  const fd = openFile(`${folder.path}/owner`, O.RDWR | O.NOFOLLOW);
  if (fd < 0) return false;
  const free = tryLockFile(fd);
  if (free) use();
  closeFile(fd);
  return free;
}

/**
 * Takes a run that has ended: the folder is this process's from now on. "busy" while others work on it.
 *
 * @throws CfnError cannot_create for a folder that is not ours alone; not_found, if it is gone
 */
export function takeJournal(folder: RunFolder): HeldFolder | "busy" {
  checkOwn(folder.path);
  const ownerFd = openFile(`${folder.path}/owner`, O.RDWR | O.CREAT | O.NOFOLLOW);
  if (ownerFd < 0) throw cannot(`${folder.path}/owner`, errorText(-ownerFd));
  if (!tryLockFile(ownerFd)) {
    closeFile(ownerFd);
    return "busy";
  }
  // Between the opening and the lock it may have been pruned.
  if (statPath(`${folder.path}/owner`) === undefined) {
    closeFile(ownerFd);
    throw new CfnError("not_found", `the journal ${folder.path} has just been removed`, "it was older than others");
  }
  signOwner(ownerFd);
  return { ...folder, ownerFd };
}

/** Removes folders that are too old or too many, unless they are held, and what makers and removers that died left. */
function pruneJournals(root: string, nowMs: number, { days, keep }: Kept): void {
  const since = stampOf(nowMs - days * DAY_MS);
  const { pid, startTicks } = ownIdentity();
  const names = listDirectory(root);
  const shown = names.filter((name) => !name.startsWith("."));
  for (const name of shown.length < names.length ? names : []) {
    const maker = /^\.(?:new|old)-(\d+)-(\d+)-/.exec(name);
    if (maker === null || isAlive({ pid: Number(maker[1]), startTicks: Number(maker[2]) })) continue;
    removeTree(`${root}/${name}`);
  }
  // As a rule nothing is too old, and a look at each name would take longer than all else that is written here.
  if (shown.length < keep && (shown[0] ?? since) >= since) return;
  journalsAmong(root, shown).forEach(({ path }, n) => {
    if (n < keep - 1 && path >= `${root}/${since}`) return;
    const fd = openFile(`${path}/owner`, O.RDWR | O.NOFOLLOW);
    if (fd < 0 || tryLockFile(fd)) {
      // Out of sight first, so that nobody takes what is being removed.
      const hidden = `${root}/.old-${pid}-${startTicks}-${randomId()}`;
      if (renameFile(path, hidden) === 0) removeTree(hidden);
    }
    if (fd >= 0) closeFile(fd);
  });
}
