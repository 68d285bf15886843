/** What the test and the command by hand say alike. */
import type { Failure } from "./worker.ts";

/** Mutants are caught at the same schedules every time. */
export const MUTANT_SEED = 10;
/** A mutant that gets through so many has survived. */
export const MUTANT_SCHEDULES = 30_000;

export const mutantLine = (name: string, failure: Failure | undefined): string =>
  failure === undefined
    ? `SURVIVES ${MUTANT_SCHEDULES} schedules: ${name}`
    : `caught at schedule ${String(failure.schedule).padStart(5)}: ${name} (${failure.wrong[0]?.split("\n")[0]})`;

/** What must have happened in a run of many schedules for it to say anything. */
export const covered = [
  "rotate",
  "retire",
  "segment recycled",
  "recycled segment used",
  "spare segment used",
  "moveRecord",
  "compact",
  "rebuildShard",
  "erase",
  "allocateSlot",
  "growIndex",
  "grow",
  "blob stored",
  "accepted",
  "full inbox",
  "full bus",
  "gone",
  "closed",
  "retry accepted",
  "retry duplicate",
  "registration taken",
  "registration full",
  "bell rung",
  "agents seen",
  "space",
  "descriptors",
  "memory",
  "killed",
  "killed holding the lock",
  "stopped",
  "stopped holding the lock",
  "resumed",
  "continued by those it blocks",
  "killed by those it blocks",
] as const;
