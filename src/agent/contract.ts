/** A host as others see it: what it is given, and what it does. */
import type { Bus } from "../bus/contract.ts";
import type { Roster } from "../bus/roster.ts";
import type { Launcher } from "../os/launch.ts";
import type { HealthTimes } from "./sampler.ts";

export interface HostOptions {
  readonly bus: Bus;
  /** Starts the agents. The host closes it. */
  readonly launcher: Launcher;
  /** The id that results are sent to (control chain); agents see it as CFN_COORDINATOR_ID. It need not be registered yet. */
  readonly lead: string;
  readonly runId: string;
  /** An existing directory for `<seq>.<attempt>.out` and `.err` (`spoolPath`); absolute. */
  readonly spool: string;
  /** Ids to register (role worker, team = lead) and serve. Throws CfnError("cannot_create") if a living process hosts one. */
  readonly seats: readonly string[];
  /** Where to write what each seat runs and how its process does. */
  readonly roster: Roster;
  /**
   * In a process that others would take over from: which epoch's tasks are meant for it; those of another are taken off the
   * bus and not run. From the second epoch on seats that are not free yet are waited for: `onSeats`.
   */
  readonly epoch?: number;
  /** These seats have become free and are served from now on. */
  readonly onSeats?: (seats: readonly string[]) => void;
  /** These seats were stopped one by one, over the bus: they take no further task. From the event loop. */
  readonly onRetired?: (seats: readonly string[]) => void;
  /** What agents inherit; the CFN_ variables and PATH are set over it, a task's own `env` over those. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** An agent whose stdout or stderr is longer is ended: reason output_limit. */
  readonly outputBytesMax: number;
  /** Between TERM and KILL at a timeout or a cancel. */
  readonly killGraceMs: number;
  /** How often to look at what agents do. */
  readonly health: HealthTimes;
  /** Results have been accepted by the bus: the lead may read its control chain. Once per batch, from the event loop. */
  readonly onResults?: () => void;
  /** No agent runs and no result waits to be sent. */
  readonly onIdle?: () => void;
  /** One line about something odd that is not fatal: a malformed control message, a full bus. */
  readonly onWarning?: (text: string) => void;
}

export interface Host {
  /** Look into these seats' control inboxes: call it right after a task, cancel or stop was published. */
  wake(seats: readonly string[]): void;
  /** Looks into one control inbox that something may have come to, if it is of a seat here. */
  look(seat: string): void;
  /** Reaps agents that have ended and sends their results, without waiting. True if no agent runs and no result waits. */
  drain(): boolean;
  /**
   * Ends every agent (TERM, KILL after `graceMs`; at once if 0). Running and queued tasks get a result with reason
   * `cancelled`, tasks that come later too. Resolves when all results have been accepted by the bus.
   */
  stop(graceMs: number): Promise<void>;
  /** Agents that run now. */
  readonly active: number;
  /** The seats that take tasks now. */
  readonly seats: readonly string[];
  /** None does, and none will: each was stopped by itself. */
  readonly exhausted: boolean;
  /**
   * Stops the timers. Only when nothing runs (`stop` first): asserted. The seats stay registered and leased until the bus is
   * closed: they are the run's, and go with its bus.
   */
  close(): void;
}
