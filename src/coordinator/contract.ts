/** A run as others see it: what it is given, and what it comes to. */
import type { Halt } from "./decide.ts";
import type { Gate } from "./gate.ts";
import type { Guardian } from "./guardian.ts";
import type { RunObserver } from "./observer.ts";
import type { Output } from "./output.ts";
import type { Recorder } from "./recorder.ts";
import type { RunReport } from "./report.ts";
import type { Shape } from "./shape.ts";
import type { TaskSource } from "./source.ts";
import type { Swarm, SwarmEvents } from "./swarm.ts";
import type { KeepLines, MessageReport } from "./undelivered.ts";

export interface RunOptions {
  readonly runId: string;
  readonly shape: Shape;
  readonly source: TaskSource;
  /** Without a task list. */
  readonly oneTaskEach: boolean;
  readonly retries: number;
  readonly halt: Halt;
  readonly timeoutMs: number | undefined;
  /** Of the whole run. */
  readonly timeLimitMs: number | undefined;
  /** From TERM to KILL, for what is ended early. */
  readonly graceMs: number;
  /** Somebody wants the run to end, by `cfn stop`; without a grace, with this run's. */
  readonly onStop: (graceMs: number | undefined) => void;
  /** Lets agents start; undefined where no mark is set. */
  readonly gate: Gate | undefined;
  readonly lineBuffer: boolean;
  readonly openSwarm: (events: SwarmEvents) => Swarm;
  readonly openRecorder: (retried: () => number, onFailure: (error: unknown) => void) => Recorder;
  /** Its output goes to the recorder when it is out. */
  readonly openOutput: (recorder: Recorder, onFailure: (error: unknown) => void) => Output;
  /** Given where the report is wanted: it looks at every file of the bus. */
  readonly busBytes: (() => number) | undefined;
  /** In how many places the bus was found damaged. */
  readonly busDamaged: () => number;
  /** Closes the bus to messages, and takes those that nobody has read. */
  readonly drainInboxes: (keep: KeepLines) => Promise<MessageReport>;
  /** Whether the bus directory is still there. */
  readonly busIsThere: () => boolean;
  readonly guardian: Guardian;
  readonly observers: readonly RunObserver[];
  readonly onWarning: (text: string) => void;
}

export interface RunEnd {
  readonly report: RunReport;
  /** What ended the reading of tasks or the printing of output, if anything did. */
  readonly failure: unknown;
  /** Whether the list was read to its end and every task of it has its result. */
  readonly finished: boolean;
  /** Processes that could not be ended. */
  readonly left: readonly number[];
}
