/**
 * Starting programs: the types. See `spawnProgram`.
 */
import type { EnvironmentBlock } from "./environment.ts";

export interface SpawnRequest {
  /** The program and its arguments; at least one. A name without a slash is looked up in the PATH the child will have. */
  readonly argv: readonly string[];
  /** The prepared common part (`environmentBlock`), made once per host. */
  readonly environment: EnvironmentBlock;
  /** Set over the common part. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Default: ours. */
  readonly cwd?: string;
  /** A path opened by the child for reading, or a descriptor of ours (0: inherited). */
  readonly stdin: string | number;
  /** A path created and appended to by the child (emptied first), or a descriptor of ours (1 or 2: inherited). */
  readonly stdout: string | number;
  readonly stderr: string | number;
  /** `session`: own session and group, no terminal. `group`: own group, same session. `inherit`: ours. */
  readonly group: "session" | "group" | "inherit";
}

export type Spawned =
  | { readonly status: "started"; readonly pid: number }
  /** No such program: exit code 127. */
  | { readonly status: "not_found"; readonly detail: string }
  /** It is there and cannot be executed, or its directory or output file is not usable: exit code 126. */
  | { readonly status: "not_executable"; readonly detail: string }
  /** No process or memory to be had now: try again later. */
  | { readonly status: "busy"; readonly detail: string };

/** Starts a program with default signal handling and an empty signal mask. Give the pid to `watchChild` (reap.ts) in the same turn of the loop. */
export declare function spawnProgram(request: SpawnRequest): Spawned;
