/**
 * What dead runs left: buses, output, control groups. Found without changing anything; removed only by `removeLeftovers`, and
 * only what is dead by the kernel's word: a bus whose `owner` nobody has locked, output of a run whose journal nobody has
 * locked, a control group without a process.
 *
 * Runs start at any moment. A bus is claimed before it gets its name, and is looked at again before it is removed. Output has no lock
 * of its own: it is removed while we hold that of its run's journal, so that nobody resumes the run meanwhile.
 */
import { deadBuses, removeDead } from "../bus/removal.ts";
import { isFree, listJournals, type RunFolder } from "../coordinator/journalfolder.ts";
import { listSpools, sweepSpool } from "../coordinator/spool.ts";
import { emptySubgroups } from "../os/cgroup.ts";
import { sleepMs } from "../os/clock.ts";
import { removeDirectory, statPath } from "../os/file.ts";
import { effectiveUid, isAlive } from "../os/process.ts";
import { listDirectory, removeTree, treeBytes } from "../os/tree.ts";
import { bytesText, type Check, listText, ok, warn } from "./check.ts";

/** Begins the name of a run's control group. */
const GROUP = "cfn-";
/** A run that starts is in its group within milliseconds of making it. */
const GROUP_SETTLES_MS = 1000;

export interface Leftover {
  readonly kind: "bus" | "output" | "probe" | "control group";
  readonly path: string;
  readonly bytes: number;
}

export interface Places {
  /** Bases of buses, of which some may not exist. */
  readonly bases: readonly string[];
  /** Directories in which this check itself may have died. */
  readonly probed: readonly string[];
  readonly tmp: string | undefined;
  /** Of the journals; undefined where there can be none. */
  readonly journals: string | undefined;
}

interface Removable extends Leftover {
  /** Removes it if it still is dead; false if it is not. */
  readonly remove: () => boolean;
}

const runIdOf = (busName: string): string => busName.replace(/^run-/, "");

function findRemovable({ bases, probed, tmp, journals }: Places): Removable[] {
  const folders = new Map<string, RunFolder>();
  for (const folder of journals === undefined ? [] : listJournals(journals)) folders.set(folder.runId, folder);
  /** Removes what belongs to a run while nobody can take the run up. */
  const removing = (runId: string, remove: () => boolean): boolean => {
    const folder = folders.get(runId);
    if (folder === undefined) return remove();
    let removed = false;
    isFree(folder, () => {
      removed = remove();
    });
    return removed;
  };
  const found: Removable[] = [];
  const dead = new Set<string>();
  for (const base of bases) {
    for (const name of deadBuses(base)) {
      const path = `${base}/${name}`;
      const runId = runIdOf(name);
      dead.add(runId);
      const remove = (): boolean => removing(runId, () => removeDead(base, name));
      found.push({ kind: name.endsWith("-doctor") ? "probe" : "bus", path, bytes: treeBytes(path), remove });
    }
  }
  for (const place of new Set(probed)) if (!bases.includes(place)) found.push(...probesIn(place));
  for (const { path, runId } of listSpools(tmp)) {
    const folder = folders.get(runId);
    // Of a run with neither a dead bus nor a journal nobody can say that it is dead.
    if (folder === undefined ? !dead.has(runId) : !isFree(folder)) continue;
    const remove = (): boolean =>
      removing(runId, () => {
        sweepSpool(tmp, runId);
        return statPath(path) === undefined;
      });
    found.push({ kind: "output", path, bytes: treeBytes(path), remove });
  }
  for (const path of emptySubgroups(GROUP)) {
    const folder = folders.get(path.slice(path.lastIndexOf(GROUP) + GROUP.length));
    if (folder !== undefined && !isFree(folder)) continue;
    found.push({ kind: "control group", path, bytes: 0, remove: () => removeDirectory(path) === 0 });
  }
  return found;
}

function probesIn(place: string): Removable[] {
  return listDirectory(place).flatMap((name): Removable[] => {
    const maker = /^\.new-(\d+)-(\d+)-doctor$/.exec(name);
    const path = `${place}/${name}`;
    if (maker === null || statPath(path)?.uid !== effectiveUid()) return [];
    if (isAlive({ pid: Number(maker[1]), startTicks: Number(maker[2]) })) return [];
    return [{ kind: "probe", path, bytes: treeBytes(path), remove: () => removeTree(path) }];
  });
}

export const findLeftovers = (places: Places): Leftover[] =>
  findRemovable(places).map(({ kind, path, bytes }) => ({ kind, path, bytes }));

/** Removes them; returns those that are gone now. Called again it finds nothing to do. */
export function removeLeftovers(places: Places): Leftover[] {
  const found = findRemovable(places);
  if (found.some(({ kind }) => kind === "control group")) sleepMs(GROUP_SETTLES_MS);
  return found.filter(({ remove }) => remove()).map(({ kind, path, bytes }) => ({ kind, path, bytes }));
}

export function leftoversCheck(left: readonly Leftover[]): Check {
  const name = "leftovers";
  if (left.length === 0) return ok(name, "nothing of dead runs");
  const bytes = left.reduce((sum, each) => sum + each.bytes, 0);
  const kinds = [...new Set(left.map(({ kind }) => kind))].join(", ");
  return warn(
    name,
    `${left.length} of dead runs (${kinds}), ${bytesText(bytes)}: ${listText(left.map(({ path }) => path))}`,
    "cfn doctor --fix removes them; the next run sweeps its own base by itself",
  );
}
