/**
 * The host: runs the wrapper for many agents ("seats") of one lead inside one process.
 */
import type { Bus } from "../bus/contract.ts";

export interface HostOptions {
  readonly bus: Bus;
  /** The id that results are sent to (control chain); agents see it as CFN_COORDINATOR_ID. It need not be registered yet. */
  readonly lead: string;
  readonly runId: string;
  /** An existing directory for `<seq>.<attempt>.out` and `.err` (`spoolPath`); absolute. */
  readonly spool: string;
  /** Ids to register (role worker, team = lead) and serve. Throws CfnError("refused") if a living process hosts one. */
  readonly seats: readonly string[];
  /** What agents inherit; the CFN_ variables and PATH are set over it, a task's own `env` over those. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** An agent whose stdout or stderr is longer is ended: reason output_limit. */
  readonly outputBytesMax: number;
  /** Between TERM and KILL at a timeout or a cancel. */
  readonly killGraceMs: number;
  /** Results have been accepted by the bus: the lead may read its control chain. Called once per batch, from the event loop. */
  readonly onResults?: () => void;
  /** No agent runs and no result waits to be sent. */
  readonly onIdle?: () => void;
  /** One line about something odd that is not fatal: a malformed control message, a full bus. */
  readonly onWarning?: (text: string) => void;
}

export interface Host {
  /** Look into that seat's control inbox now: call it right after a task, cancel or stop was published. Without an argument: into all. */
  wake(seat?: string): void;
  /** Reaps agents that have ended and sends their results, as far as possible without waiting. True if no agent runs and no result waits. */
  drain(): boolean;
  /**
   * Ends every agent (TERM, KILL after `graceMs`; at once if 0). Running and queued tasks get a result with reason `cancelled`; later
   * ones stay unread. Resolves when all results have been accepted by the bus.
   */
  stop(graceMs: number): Promise<void>;
  /** Agents that run now. */
  readonly active: number;
  /** Unregisters the seats and stops the timers. Only when nothing runs (`stop` first): asserted. */
  close(): void;
}

export declare function createHost(options: HostOptions): Host;
