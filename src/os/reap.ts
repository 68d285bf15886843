/** How children ended. One place per process waits for all of them, adopted orphans included; nothing may use Bun.spawn beside it. */

export interface Exit {
  readonly pid: number;
  /** 0–255; 128 + signal where a signal ended it. */
  readonly code: number;
  /** 0 if none. */
  readonly signal: number;
}

/** Calls `onExit` once when this child has ended. With `endGroup`, what is left of its process group is killed first. */
export declare function watchChild(pid: number, onExit: (exit: Exit) => void, endGroup: boolean): void;

/** Reaps what has ended by now; returns how many. Runs by itself (SIGCHLD and a safety tick) from the first `watchChild` to the last exit. */
export declare function reapNow(): number;
