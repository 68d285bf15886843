/**
 * Where agents' output waits to be printed. Beside the bus if there is room: files on tmpfs cost a third of those on a
 * disk. Otherwise where temporary files go, so that an agent that floods its output cannot fill the memory file system
 * that the bus lives on.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { fileSystemSpace, isWritable, makeDirectory, spaceAround, statPath } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { effectiveUid } from "../os/process.ts";
import { listDirectory, removeTree } from "../os/tree.ts";

const temporary = (tmp: string | undefined): string => (tmp?.startsWith("/") ? tmp.replace(/\/+$/, "") : "/tmp");

const outside = (tmp: string | undefined, runId: string): string => `${temporary(tmp)}/cfn-${effectiveUid()}-${runId}`;

const freeBytes = (path: string): number => (isWritable(path) ? (fileSystemSpace(path)?.freeBytes ?? 0) : 0);

/** Where the output of a run will be; neither it nor the bus need be there. `tmp` is TMPDIR. */
export function planSpool(busDir: string, tmp: string | undefined, runId: string): string {
  const besideBus = spaceAround(busDir).freeBytes;
  const elsewhere = besideBus < limits.spoolBytesLeast && freeBytes(temporary(tmp)) > besideBus;
  return elsewhere ? outside(tmp, runId) : `${busDir}/spool`;
}

/** Makes the directory of a run's output, 0700. Throws CfnError("cannot_create"). */
export function makeSpool(path: string): void {
  const made = makeDirectory(path, 0o700);
  if (made < 0) throw new CfnError("cannot_create", `cannot create ${path}: ${errorText(-made)}`, "set TMPDIR");
}

/** Output outside a bus, of living runs and dead ones. */
export function listSpools(tmp: string | undefined): { readonly path: string; readonly runId: string }[] {
  const prefix = `cfn-${effectiveUid()}-`;
  const place = temporary(tmp);
  return listDirectory(place)
    .filter((name) => name.startsWith(prefix) && /^[0-9a-z]{12}$/.test(name.slice(prefix.length)))
    .map((name) => ({ path: `${place}/${name}`, runId: name.slice(prefix.length) }))
    .filter(({ path }) => statPath(path)?.uid === effectiveUid());
}

/** Where temporary files go, and how much of it can be had. */
export function temporarySpace(tmp: string | undefined): { readonly dir: string; readonly freeBytes: number } {
  const dir = temporary(tmp);
  return { dir, freeBytes: freeBytes(dir) };
}

/** Removes the output that a dead run left outside its bus. */
export function sweepSpool(tmp: string | undefined, runId: string): void {
  removeTree(outside(tmp, runId));
}
