/**
 * Agents whose coordinator has died and that run on: this process (a subreaper, so by now their parent) sees them to their
 * end. Their seats stay on the bus meanwhile, so that whoever talks to them goes on talking. What becomes of an agent is the
 * same as under a host: its deadline, the limit of its output, TERM and KILL, its result.
 */
import type { Bus } from "../bus/contract.ts";
import type { Roster, RosterEntry } from "../bus/roster.ts";
import { limits } from "../limits.ts";
import { type ResultPayload, spoolPath, type TaskPayload } from "../message/protocol.ts";
import { systemMs } from "../os/clock.ts";
import { signalGroup } from "../os/signals.ts";
import { controlOf } from "./control.ts";
import { Deadlines } from "./deadlines.ts";
import { AGENT_STOPPED, type Ending, endingOf } from "./ending.ts";
import { Execution, type Times } from "./execution.ts";
import { FloodGuard, fileBytes, type OutputFiles } from "./flood.ts";
import { resultOf } from "./result.ts";
import { type HealthTimes, type Sampled, Sampler } from "./sampler.ts";
import { StateFiles } from "./states.ts";

export interface AdoptionOptions {
  readonly bus: Bus;
  readonly spool: string;
  readonly outputBytesMax: number;
  readonly killGraceMs: number;
  /** How often to look at what they do. */
  readonly health: HealthTimes;
  /** From the event loop, never from within `adopt`. */
  readonly onResult: (result: ResultPayload) => void;
}

export interface Adoptee {
  readonly agentId: string;
  /** The coordinator that led it. */
  readonly lead: string;
  readonly task: TaskPayload;
  /** What the roster said of it. */
  readonly entry: RosterEntry;
  /** That one, to be written on. */
  readonly roster: Roster;
}

/** One that runs. */
interface Ward extends Sampled {
  readonly agentId: string;
  readonly execution: Execution;
  readonly roster: Roster;
  readonly files: OutputFiles;
}

export class Adoption {
  readonly #options: AdoptionOptions;
  readonly #states: StateFiles;
  readonly #deadlines = new Deadlines();
  readonly #running = new Set<Ward>();
  /** Of each roster that is written on. */
  readonly #samplers = new Map<Roster, Sampler>();
  #flood: FloodGuard | undefined;
  #tick: ReturnType<typeof setInterval> | undefined;

  constructor(options: AdoptionOptions) {
    this.#options = options;
    this.#states = new StateFiles(options.bus.info.dir);
  }

  /** Sees it to its end. False if it can no longer be known how it ended: then it has no result of this attempt. */
  adopt({ agentId, lead, task, entry, roster }: Adoptee): boolean {
    if (entry.state === "ended") {
      queueMicrotask(() => this.#report(agentId, task, endingOfEntry(entry), entry));
      return true;
    }
    const { bus, killGraceMs } = this.#options;
    const hosted = bus.register({ id: agentId, role: "worker", team: lead }).status === "registered";
    const execution = new Execution({
      ...(task.timeout_ms === undefined ? {} : { timeoutMs: task.timeout_ms }),
      killGraceMs,
      deadlines: this.#deadlines,
      signalAll: signalGroup,
      onEnd: (ending, times) => {
        const { reason, exitCode, signal } = ending;
        roster.ended(entry.seat, { ...times, reason, exitCode, signal });
        this.#running.delete(ward);
        if (this.#running.size === 0) clearInterval(this.#tick);
        this.#states.write(agentId, "COMPLETE");
        if (hosted) bus.unregister(agentId);
        this.#report(agentId, task, ending, times);
      },
    });
    const ward: Ward = { number: entry.seat, agentId, execution, roster, files: this.#files(task) };
    if (!execution.adopt(entry.pid, entry.startedAt)) {
      if (hosted) bus.unregister(agentId);
      return false;
    }
    if (this.#running.size === 0) this.#watch();
    this.#running.add(ward);
    this.#endIfStopped(agentId);
    return true;
  }

  /** Its coordinator may have died while it ended it: the stop still lies there. Its grace begins anew. */
  #endIfStopped(agentId: string): void {
    for (const message of this.#options.bus.peek(agentId, "control", limits.mailAhead)) {
      const control = controlOf(message);
      if (control.kind === "stop") this.end(agentId, control.graceMs);
    }
  }

  /** Ends what runs: TERM, KILL after the grace. */
  stop(graceMs: number): void {
    for (const { execution } of [...this.#running]) execution.end("cancelled", "the swarm was stopped", graceMs);
  }

  /** The same for one agent, if it is among them. */
  end(agentId: string, graceMs = this.#options.killGraceMs): void {
    for (const ward of [...this.#running])
      if (ward.agentId === agentId) ward.execution.end("cancelled", AGENT_STOPPED, graceMs);
  }

  #watch(): void {
    const { spool, outputBytesMax } = this.#options;
    this.#flood ??= new FloodGuard(spool, outputBytesMax);
    this.#tick = setInterval(() => {
      this.#sample();
      if (this.#flood?.tick() !== true) return;
      for (const { execution, files } of this.#running) {
        const excess = this.#flood.excess(files);
        if (excess !== undefined) execution.end("output_limit", excess, 0);
      }
    }, limits.pollMs);
  }

  #sample(): void {
    const now = systemMs();
    for (const { roster } of this.#running) {
      let sampler = this.#samplers.get(roster);
      if (sampler === undefined) {
        sampler = new Sampler(roster, this.#options.health, now);
        this.#samplers.set(roster, sampler);
      }
      sampler.tick(now, () => [...this.#running].filter((ward) => ward.roster === roster));
    }
  }

  #files({ seq, attempt }: TaskPayload): OutputFiles {
    const { spool } = this.#options;
    return { out: spoolPath(spool, seq, attempt, "out"), err: spoolPath(spool, seq, attempt, "err") };
  }

  #report(agentId: string, task: TaskPayload, ending: Ending, times: Times): void {
    const files = this.#files(task);
    const ran = ending.reason !== "not_started";
    const sizes = { out: ran ? fileBytes(files.out) : 0, err: ran ? fileBytes(files.err) : 0 };
    this.#options.onResult(resultOf(agentId, task, ending, times, sizes, this.#options.outputBytesMax));
  }
}

/** As its host had seen it, but for the words. */
function endingOfEntry({ reason, exitCode, signal }: RosterEntry): Ending {
  if (reason === "exited" || reason === "signalled") return endingOf({ code: exitCode, signal }, undefined);
  return {
    reason,
    exitCode,
    signal,
    detail: `${reason.replaceAll("_", " ")}, under a coordinator that has died since`,
  };
}
