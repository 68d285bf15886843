/** The examination: facts are gathered, each check judges its own, the summary says what they come to. */
import { type Base, basesOf, type Env } from "../bus/directory.ts";
import { resumableRuns } from "../coordinator/journalread.ts";
import { needsOf, roomForAgents, type Surroundings, shortage } from "../coordinator/preflight.ts";
import { planShape, type Shape } from "../coordinator/shape.ts";
import type { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { unixSeconds } from "../os/clock.ts";
import { statPath } from "../os/file.ts";
import { mountOf, mounts } from "../os/mounts.ts";
import { missingFileFeatures } from "../os/probe.ts";
import { effectiveUid } from "../os/process.ts";
import { coreCount } from "../os/usage.ts";
import { type Check, type Verdict, verdictOf } from "./check.ts";
import * as facts from "./gather.ts";
import { groupCheck, kernelCheck, procCheck, shellCheck } from "./kernel.ts";
import { findLeftovers, type Leftover, leftoversCheck } from "./leftovers.ts";
import { removeIpcCheck } from "./logind.ts";
import * as place from "./place.ts";
import * as resources from "./resources.ts";
import { clockCheck, environmentCheck, machineCheck } from "./surroundings.ts";

export interface Examination {
  readonly schema: "cfn.doctor/1";
  readonly verdict: Verdict;
  /** How many agents were asked about. */
  readonly agents: number;
  /** How many a flat swarm could have here. */
  readonly room: number;
  readonly checks: readonly Check[];
  /** What `--fix` removed; absent without it. */
  readonly fixed?: readonly Leftover[];
}

const plenty = Number.POSITIVE_INFINITY;

/** What `cfn run` would refuse of one resource, the others left out. */
function missingOf(
  shape: Shape,
  there: Surroundings,
  what: "descriptors" | "processes" | "space",
): CfnError | undefined {
  const { descriptors, processes, freeBytes, freeFiles, busPlace } = there;
  const needs = needsOf(shape);
  return shortage(
    needs,
    {
      // A run raises the soft limit as far as it may.
      descriptors:
        what === "descriptors"
          ? { ...descriptors, soft: Math.max(descriptors.soft, Math.min(needs.descriptors, descriptors.hard)) }
          : { soft: plenty, hard: plenty },
      processes: what === "processes" ? processes : { ...processes, free: plenty },
      freeBytes: what === "space" ? freeBytes : plenty,
      freeFiles: what === "space" ? freeFiles : plenty,
      busPlace,
    },
    shape.workers,
  );
}

/** For a swarm of so many agents, in the shape that `cfn run --agents` gives it. Throws CfnError("usage"). */
export async function examine(env: Env, agents: number): Promise<Examination> {
  for (let tries = 1; ; tries++) {
    const bases = basesOf(env);
    const before = inodesOf(bases);
    const examination = await examineBases(env, agents, bases);
    // Runs that end remove an empty base, and others make it again: what was found of it is void then.
    const vanished = inodesOf(bases) !== before;
    if (!vanished || tries === limits.doctorTries) return examination;
  }
}

const inodesOf = (bases: readonly Base[]): string =>
  bases.map(({ place }) => statPath(place, true)?.inode ?? "").join(" ");

async function examineBases(env: Env, agents: number, bases: readonly Base[]): Promise<Examination> {
  const base = place.chosenBase(bases);
  const cores = coreCount();
  const shape = planShape({ agents, taskList: false, cores });
  const hosts = shape.topology === "hybrid" ? shape.teams.length + 1 : 1;
  const all = mounts();
  const bounds = facts.machineLimits();
  const kernel = await facts.kernelFacts(env);
  const there = facts.surroundings(base?.place ?? "/");
  const ofBase = (): Check[] => {
    // Nothing is tried in a directory that a run would refuse.
    if (base === undefined || base.unsafe !== undefined) return [];
    const output = facts.outputPlace(base, env["TMPDIR"]);
    return [
      place.spaceCheck(there, missingOf(shape, there, "space")),
      place.filesCheck(base.place, missingFileFeatures(base.place)),
      place.outputCheck(output.dir, output.freeBytes),
    ];
  };
  const state = facts.stateFacts(env);
  const checks: Check[] = [
    machineCheck(facts.clues(env), effectiveUid()),
    resources.processorsCheck(facts.processorFacts(cores)),
    resources.memoryCheck(facts.memoryFacts(), agents, hosts),
    place.shmCheck(facts.shmFacts(bases, all)),
    place.placeCheck(bases, base === undefined ? undefined : mountOf(base.place, all)),
    ...ofBase(),
    place.stateCheck(state),
    resources.descriptorsCheck(there.descriptors, missingOf(shape, there, "descriptors")),
    resources.processesCheck(there, needsOf(shape), agents, missingOf(shape, there, "processes")),
    resources.fileSizeCheck(bounds),
    resources.addressSpaceCheck(bounds),
    resources.machineFilesCheck(bounds, hosts),
    kernelCheck(kernel),
    procCheck(kernel),
    shellCheck(kernel),
    groupCheck(kernel),
    removeIpcCheck(facts.logindFacts(env, base?.dir)),
    environmentCheck(env),
    clockCheck(unixSeconds()),
    leftoversCheck(findLeftovers(facts.places(env, bases))),
    place.resumableCheck(state.root === undefined ? [] : resumableRuns(state.root).map(({ runId }) => runId)),
  ];
  const usable = base !== undefined && base.unsafe === undefined;
  return {
    schema: "cfn.doctor/1",
    verdict: verdictOf(checks),
    agents,
    room: usable ? roomForAgents(there) : 0,
    checks,
  };
}
