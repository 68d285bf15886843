/** Removing buses: one's own, and those of the dead. */
import { closeFile, removeDirectory, renameFile, statPath } from "../os/file.ts";
import { effectiveUid, isAlive, ownIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";
import { listDirectory, removeTree } from "../os/tree.ts";
import { parentOf, RUN } from "./directory.ts";
import { claims, isClaimed } from "./owner.ts";

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
  return name.startsWith(RUN) && !isClaimed(`${base}/${name}`);
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
  const removed = listDirectory(base).filter((name) => removeDead(base, name) && name.startsWith(RUN));
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
