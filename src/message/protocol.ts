/**
 * What master, coordinators and hosts say to each other over the bus: the payloads of the message types `task`, `result`,
 * `tasks`, `results`, `cancel`, `stop`, `hello` and `bye`, all on control chains. Field names are the wire's.
 *
 * A task goes master → coordinator → worker, its result worker → coordinator → master; in a flat swarm the one
 * coordinator is the master. On each hop it has an id of its own, and is counted where it is received: between coordinator and
 * worker that of its message; between master and coordinator, where a `tasks` or `results` message carries many, that of its
 * message and its place there (`coordinator/bundle.ts`).
 */

/** A data message that went back to its sender: its payload is the one that nobody has read, `reply_to` that one's id. */
export const undeliveredType = "undelivered";

export interface TaskPayload {
  /** Unique in the run. */
  readonly task_id: string;
  /** Position in the task list, from 1: the joblog's Seq. */
  readonly seq: number;
  /** 1 for the first execution. */
  readonly attempt: number;
  /** A string runs by `sh -c`; a list is executed as it stands. */
  readonly run: string | readonly string[];
  /** Given on stdin; without it stdin is empty. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeout_ms?: number;
  /** In a hybrid swarm: of the coordinator that it is for. Whoever has another epoch refuses the task. */
  readonly epoch?: number;
}

/** `not_started`: there is no such command (127) or it cannot be executed (126). `lost`: given by the master, never sent. */
export const endReasons = [
  "exited",
  "signalled",
  "timed_out",
  "cancelled",
  "not_started",
  "output_limit",
  "lost",
] as const;
export type EndReason = (typeof endReasons)[number];

export interface ResultPayload {
  readonly task_id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly agent_id: string;
  readonly reason: EndReason;
  /** 0–255; 128 + signal where a signal ended it; 124 for a timeout. */
  readonly exit_code: number;
  /** 0 if none. */
  readonly signal: number;
  /** For people, where `reason` is not "exited": what happened and what to do. */
  readonly detail?: string;
  /** Unix seconds, with decimals. */
  readonly started_at: number;
  readonly run_time_ms: number;
  /** Bytes in the spool files `<spool>/<seq>.<attempt>.out` and `.err`; whoever prints or stores them removes them. */
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
  /** That of the task. */
  readonly epoch?: number;
}

/** Type `results`: each with the id by which its task had come, if it had come. */
export interface Answer {
  readonly task?: string;
  readonly result: ResultPayload;
}

/** Stop one task: TERM to its group, KILL after the grace. Its result still comes, with reason `cancelled`. */
export interface CancelPayload {
  readonly task_id: string;
}

/** No further tasks will come: end every agent (grace_ms 0: at once), send their results, then `bye`. */
export interface StopPayload {
  readonly grace_ms: number;
  /** To a coordinator: it and the agents that run go on; only what has not begun is cancelled. */
  readonly finish?: boolean;
  /** To a coordinator: its epoch. Another refuses it. */
  readonly epoch?: number;
}

/** From `cfn stop`, type `stop`, to the lead of the swarm: end the run, as SIGTERM does. Without a grace, the run's own. */
export interface StopRequestPayload {
  readonly grace_ms?: number;
}

/**
 * From `cfn stop --agent`, type `look`: to the agent went a `stop`, which stays on its control chain as long as there is a bus, so
 * that whoever hosts the agent next obeys it too. Hosts see it sooner if they look now.
 */
export interface LookPayload {
  readonly agent: string;
  readonly grace_ms?: number;
}

/** Type `back`, to the master: this attempt was not begun, and the coordinator has no agent left to do it. */
export interface BackPayload {
  readonly seq: number;
  readonly attempt: number;
  readonly epoch: number;
}

/** A coordinator takes tasks, for so many workers; said again when it has more or fewer. */
export interface HelloPayload {
  readonly pid: number;
  /** How often its id has been taken up: each coordinator that takes a dead one's place has a higher one. */
  readonly epoch: number;
  readonly workers: number;
  /** Each of its agents was stopped by itself: none will ever take a task again. */
  readonly exhausted?: boolean;
}

/** What a coordinator counted at its own receiving end; the master adds the counts of all levels for the report. */
export interface ByePayload {
  readonly hierarchical: {
    readonly expected: number;
    readonly delivered: number;
    readonly duplicates: number;
    readonly lost: readonly string[];
    readonly withdrawn: number;
  };
  readonly peak_rss_bytes: number;
  readonly open_fds_max: number;
}

export const spoolPath = (spool: string, seq: number, attempt: number, stream: "out" | "err"): string =>
  `${spool}/${seq}.${attempt}.${stream}`;
