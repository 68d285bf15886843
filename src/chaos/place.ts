/** Where chaos keeps its bus and its evidence, and what a chaos that was killed left there. */
import { busBase, type Env } from "../bus/directory.ts";
import { CfnError } from "../errors.ts";
import { makeDirectory, statPath } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { effectiveUid, isAlive, ownIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";
import { listDirectory, removeTree } from "../os/tree.ts";

export interface ChaosPlace {
  /** Marks this chaos: in names and in the environment of what it starts. */
  readonly mark: string;
  /** The bus of the messages. */
  readonly ledger: string;
  /** Where the run makes its own bus: inside the ledger's directory, so that no other run ever looks at it. */
  readonly base: string;
  /** The directory of evidence. */
  readonly dir: string;
  readonly kept: boolean;
}

const named = /^(?:cfn-)?chaos-(\d+)-(\d+)-[0-9a-z]+$/;

/** Removes what belongs to processes of ours that are dead. */
function sweep(directory: string): void {
  for (const name of listDirectory(directory)) {
    const maker = named.exec(name);
    if (maker === null || statPath(`${directory}/${name}`)?.uid !== effectiveUid()) continue;
    if (!isAlive({ pid: Number(maker[1]), startTicks: Number(maker[2]) })) removeTree(`${directory}/${name}`);
  }
}

/**
 * Makes the directory of evidence: `keep`, which must be new or empty, or one below TMPDIR.
 *
 * @throws CfnError cannot_create; unavailable where no bus can be.
 */
export function takePlace(env: Env, keep: string | undefined): ChaosPlace {
  const tmp = env["TMPDIR"]?.startsWith("/") ? env["TMPDIR"].replace(/\/+$/, "") : "/tmp";
  const shm = busBase(env).dir;
  sweep(tmp);
  sweep(shm);
  const { pid, startTicks } = ownIdentity();
  const mark = `${pid}-${startTicks}-${randomId()}`;
  const wanted = keep ?? `${tmp}/cfn-chaos-${mark}`;
  const dir = wanted.startsWith("/") ? wanted : `${process.cwd()}/${wanted}`;
  const made = makeDirectory(dir, 0o700);
  const isEmpty = statPath(dir, true)?.type === "directory" && listDirectory(dir).length === 0;
  if (made < 0 && !isEmpty) {
    const reason = statPath(dir, true)?.type === "directory" ? "it is not empty" : errorText(-made);
    throw new CfnError("cannot_create", `cannot keep the evidence in ${dir}: ${reason}`, "name a new directory");
  }
  const ledger = `${shm}/chaos-${mark}`;
  return { mark, ledger, base: `${ledger}/cfn-runs`, dir, kept: keep !== undefined };
}
