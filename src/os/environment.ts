/** The environment of children, encoded once for many spawns. */

/** Opaque: strings and pointers ready for `execve`. */
export interface EnvironmentBlock {
  /** The names and values in it. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Undefined values are left out. */
export declare function environmentBlock(variables: Readonly<Record<string, string | undefined>>): EnvironmentBlock;
