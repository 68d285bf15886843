/** Where buses are: a bus is a directory below a base, and the base is private to one user. */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { fileSystemSpace, isWritable, statPath } from "../os/file.ts";
import { effectiveUid } from "../os/process.ts";
import { listDirectory } from "../os/tree.ts";
import { isClaimed } from "./owner.ts";
import { unsafety } from "./safety.ts";

export type Env = Readonly<Record<string, string | undefined>>;

const SHM = "/dev/shm";
/** How often to look again: a run that ends or begins removes an empty base, perhaps while another looks at it. */
const LOOKS = 20;
/** Begins the name of a run's bus; the run's id follows. */
export const RUN = "run-";

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

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

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

/** Whether there is a bus in this directory. */
export const isBus = (dir: string): boolean => statPath(`${dir}/meta`) !== undefined;

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
