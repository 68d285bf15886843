/**
 * The host: runs the wrapper for many agents ("seats") of one lead inside one process.
 *
 * A seat does one task at a time. A `task` on its control chain is started as a process; when that has ended, a `result`
 * goes to the lead, and only when the bus has accepted that is the task acknowledged: if the host dies anywhere in
 * between, whoever hosts the seat next finds the task still there. A full inbox or bus makes a result wait; nothing is
 * dropped and the loop never blocks.
 *
 * What can happen: `wake` (a message was published), an exit (SIGCHLD), a deadline, the tick, `stop`. Whatever one seat
 * needs costs the same with 5,000 seats as with one; only the tick looks at all of them.
 */
import { assert } from "../assert.ts";
import type { Bus, Delivery } from "../bus/contract.ts";
import type { Roster } from "../bus/roster.ts";
import { limits } from "../limits.ts";
import { spoolPath, type TaskPayload } from "../message/protocol.ts";
import { monotonicMs, systemMs, unixSeconds } from "../os/clock.ts";
import { type EnvironmentBlock, environmentBlock } from "../os/environment.ts";
import type { Launcher } from "../os/launch.ts";
import { reapNow } from "../os/reap.ts";
import { signalGroup } from "../os/signals.ts";
import { binDirectory } from "./bin.ts";
import type { Control } from "./control.ts";
import { Deadlines } from "./deadlines.ts";
import { AGENT_STOPPED, cancelledBeforeStart, type Ending } from "./ending.ts";
import { Execution, type Times } from "./execution.ts";
import { FloodGuard, fileBytes } from "./flood.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Mail } from "./mailbox.ts";
import { Outbox } from "./outbox.ts";
import { resultOf } from "./result.ts";
import { type HealthTimes, Sampler } from "./sampler.ts";
import type { Seat } from "./seat.ts";
import { openSeats, registerFreeSeats, registerSeats } from "./seating.ts";
import { StateFiles } from "./states.ts";
import { sharedVariables, taskVariables } from "./variables.ts";

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

/** Registers the seats and takes the leases of their control chains; tasks that are already there are started. */
export function createHost(options: HostOptions): Host {
  return new SwarmHost(options);
}

class SwarmHost implements Host {
  readonly #options: HostOptions;
  readonly #seats = new Map<string, Seat>();
  /** Registered seats that have not been needed yet. */
  readonly #unopened: Set<string>;
  /** Seats whose ids somebody else still hosts. */
  #awaited: readonly string[] = [];
  readonly #numbers = new Map<string, number>();
  #opening: ReturnType<typeof setImmediate> | undefined;
  readonly #states: StateFiles;
  readonly #environment: EnvironmentBlock;
  readonly #deadlines = new Deadlines();
  readonly #flood: FloodGuard;
  readonly #heartbeat: Heartbeat;
  readonly #outbox: Outbox;
  readonly #sampler: Sampler;
  readonly #tick: ReturnType<typeof setInterval>;
  readonly #running = new Set<Seat>();
  /** Where the tick has come to. */
  #looking: Iterator<Seat>;
  #beatMs = Number.NEGATIVE_INFINITY;
  #flushing = false;
  /** Seats whose results have been accepted just now. */
  readonly #answered = new Set<Seat>();
  readonly #retired = new Set<string>();
  /** Retired, and not told of yet. */
  #retiring: string[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #idleWaiters: (() => void)[] = [];

  constructor(options: HostOptions) {
    const { bus, lead, runId, env, spool, outputBytesMax } = options;
    const busDir = bus.info.dir;
    this.#options = options;
    this.#states = new StateFiles(busDir);
    const free = this.#register(options.seats);
    globalThis.crashPoint?.("host.registered");
    this.#unopened = new Set(free);
    options.seats.forEach((id, n) => {
      this.#numbers.set(id, n);
    });
    this.#looking = this.#seats.values();
    this.#environment = environmentBlock(sharedVariables(env, { busDir, lead, runId, bin: binDirectory(busDir) }));
    this.#flood = new FloodGuard(spool, outputBytesMax);
    this.#heartbeat = new Heartbeat(busDir, lead);
    this.#outbox = new Outbox(bus, lead, runId, (text) => this.#warn(text));
    this.#sampler = new Sampler(options.roster, options.health, systemMs());
    this.#tick = setInterval(() => this.#look(), limits.pollMs);
    // The first beat is here: nothing is called back before whoever makes this host has it.
    this.#beatMs = monotonicMs();
    this.#heartbeat.beat(0);
    this.#open();
    this.#look();
    globalThis.crashPoint?.("host.open");
  }

  get active(): number {
    return this.#running.size;
  }

  get seats(): readonly string[] {
    return [...this.#seats.keys(), ...this.#unopened].filter((id) => !this.#retired.has(id));
  }

  get exhausted(): boolean {
    return this.#awaited.length === 0 && this.seats.length === 0;
  }

  #register(ids: readonly string[]): readonly string[] {
    const { bus, lead, epoch = 1 } = this.#options;
    if (epoch === 1) {
      registerSeats(bus, lead, ids);
      return ids;
    }
    const free = registerFreeSeats(bus, lead, ids);
    this.#awaited = ids.filter((id) => !free.includes(id));
    return free;
  }

  #takeAwaited(): void {
    const free = this.#register(this.#awaited);
    for (const id of free) this.#unopened.add(id);
    this.#open();
    if (free.length > 0) this.#options.onSeats?.(free);
  }

  wake(ids: readonly string[]): void {
    const unread: Seat[] = [];
    // One that has older mail is read alone: what comes behind that is new.
    for (const seat of this.#seatsOf(ids)) {
      if (seat.unread) unread.push(seat);
      else this.#read(seat);
    }
    const leases = unread.map(({ lease }) => lease);
    const mail = this.#options.bus.readAll(leases, limits.mailAhead);
    unread.forEach((seat, n) => {
      this.#serve(seat, seat.keep(mail[n] as Delivery[]));
    });
  }

  look(id: string): void {
    if (this.#seats.has(id) || this.#unopened.has(id)) this.wake([id]);
  }

  drain(): boolean {
    reapNow();
    this.#flush();
    return this.#idle();
  }

  stop(graceMs: number): Promise<void> {
    this.#open(this.#unopened.size);
    for (const seat of this.#seats.values()) this.#stopSeat(seat, graceMs, "the swarm was stopped");
    globalThis.crashPoint?.("shutdown.stopping");
    this.#flushSoon();
    return this.#idle() ? Promise.resolve() : new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  close(): void {
    assert(this.#idle(), "a host is closed when nothing runs in it");
    clearInterval(this.#tick);
    clearImmediate(this.#opening);
    this.#deadlines.close();
    this.#heartbeat.end();
    this.#states.abandon();
    this.#options.launcher.close();
    globalThis.crashPoint?.("shutdown.closed");
  }

  #idle(): boolean {
    return this.#running.size === 0 && this.#outbox.length === 0;
  }

  #warn(text: string): void {
    this.#options.onWarning?.(text);
  }

  /** The tick: what no event told. Each looks at some of the seats, so that it takes as long with 5,000 of them as with 64. */
  #look(): void {
    for (let n = Math.min(limits.seatsPerTick, this.#seats.size); n > 0; n--) {
      let next = this.#looking.next();
      if (next.done === true) {
        this.#looking = this.#seats.values();
        next = this.#looking.next();
      }
      if (next.done !== true) this.#read(next.value);
    }
    this.#flush();
    if (this.#running.size > 0 && this.#flood.tick()) {
      for (const { running } of this.#running) {
        const excess = running && this.#flood.excess(running.files);
        if (excess !== undefined) running?.execution.end("output_limit", excess, 0);
      }
    }
    this.#sampler.tick(systemMs(), () => [...this.#running].flatMap(({ running }) => running ?? []));
    const now = monotonicMs();
    if (now - this.#beatMs < limits.heartbeatMs) return;
    this.#beatMs = now;
    if (this.#awaited.length > 0) this.#takeAwaited();
    this.#heartbeat.beat(this.active);
  }

  #seatsOf(ids: readonly string[]): Seat[] {
    const unopened = ids.filter((id) => this.#unopened.delete(id));
    if (unopened.length > 0) {
      for (const seat of openSeats(this.#options.bus, unopened, this.#states)) this.#seats.set(seat.id, seat);
    }
    return ids.map((id) => {
      const seat = this.#seats.get(id);
      assert(seat !== undefined, `${id} has a seat in this host`);
      return seat;
    });
  }

  /** Opens seats that nobody has needed yet, and serves what lies there; the next ones in the next turn of the loop. */
  #open(count: number = limits.seatsPerTick): void {
    this.wake(this.#unopened.values().take(count).toArray());
    clearImmediate(this.#opening);
    if (this.#unopened.size > 0) this.#opening = setImmediate(() => this.#open());
  }

  #read(seat: Seat): void {
    this.#serve(seat, seat.readMail());
  }

  #serve(seat: Seat, controls: readonly Control[]): void {
    for (const control of controls) this.#obey(seat, control);
    this.#refuseSuperseded(seat, controls);
    if (seat.stopped) this.#refuseWaiting(seat);
    seat.settle();
    this.#advance(seat);
  }

  /** Tasks of another epoch: whoever took over from the coordinator that gave them has given them to others. */
  #refuseSuperseded(seat: Seat, controls: readonly Control[]): void {
    const epoch = this.#options.epoch;
    if (epoch === undefined) return;
    for (const control of controls) {
      if (control.kind !== "task" || control.task.epoch === epoch) continue;
      for (const mail of seat.mailbox.takeWaiting(control.task.task_id)) mail.status = "settled";
    }
  }

  #obey(seat: Seat, control: Control): void {
    switch (control.kind) {
      case "task":
        return; // It waits in the mailbox until `#advance` takes it.
      case "cancel":
        if (seat.running?.taskId === control.taskId) seat.running.execution.end("cancelled", "cancelled");
        this.#refuseWaiting(seat, control.taskId);
        return;
      case "stop":
        this.#stopSeat(seat, control.graceMs ?? this.#options.killGraceMs, AGENT_STOPPED);
        this.#retire(seat);
        return;
      case "malformed":
        this.#warn(control.why);
    }
  }

  /** Its stop stays on the bus: whoever hosts the seat after this process obeys it too. */
  #retire(seat: Seat): void {
    if (this.#retired.has(seat.id)) return;
    this.#retired.add(seat.id);
    if (seat.running === undefined) seat.meet("stopped");
    if (this.#retiring.push(seat.id) > 1) return;
    queueMicrotask(() => {
      const retired = this.#retiring;
      this.#retiring = [];
      this.#options.onRetired?.(retired);
    });
  }

  #stopSeat(seat: Seat, graceMs: number, why: string): void {
    seat.stopped = true;
    seat.running?.execution.end("cancelled", why, graceMs);
    for (const control of seat.readMail()) if (control.kind === "malformed") this.#warn(control.why);
    this.#refuseWaiting(seat);
  }

  /** Answers tasks that will not be started. */
  #refuseWaiting(seat: Seat, taskId?: string): void {
    for (const mail of seat.mailbox.takeWaiting(taskId)) {
      const { task } = mail;
      if (task !== undefined)
        this.#report(seat, mail, task, cancelledBeforeStart(), { startedAt: unixSeconds(), runTimeMs: 0 });
    }
  }

  /** Starts the seat's next task if it has none. */
  #advance(seat: Seat): void {
    if (seat.running !== undefined || seat.stopped) return;
    const mail = seat.mailbox.takeTask();
    if (mail?.task === undefined) return;
    const { task } = mail;
    const { spool, killGraceMs, roster } = this.#options;
    const number = this.#numbers.get(seat.id) as number;
    const files = {
      out: spoolPath(spool, task.seq, task.attempt, "out"),
      err: spoolPath(spool, task.seq, task.attempt, "err"),
    };
    const execution = new Execution({
      ...(task.timeout_ms === undefined ? {} : { timeoutMs: task.timeout_ms }),
      killGraceMs,
      deadlines: this.#deadlines,
      signalAll: signalGroup,
      onEnd: (ending, times) => {
        const { reason, exitCode, signal } = ending;
        roster.ended(number, { ...times, reason, exitCode, signal });
        this.#ended(seat, mail, task, ending, times);
      },
    });
    seat.running = { mail, taskId: task.task_id, number, execution, files };
    this.#running.add(seat);
    seat.meet("assigned");
    globalThis.crashPoint?.("task.assigned");
    roster.launching(number, task.seq, task.attempt);
    execution.begin({
      spawn: {
        argv: typeof task.run === "string" ? ["/bin/sh", "-c", task.run] : task.run,
        environment: this.#environment,
        variables: taskVariables(seat.id, task),
        ...(task.cwd === undefined ? {} : { cwd: task.cwd }),
        stdin: task.input === undefined ? "/dev/null" : { text: task.input },
        stdout: files.out,
        stderr: files.err,
        group: "session",
      },
      launcher: this.#options.launcher,
      onStart: (pid, startedAt) => {
        roster.running(number, pid, startedAt);
        seat.meet("started");
      },
    });
  }

  #ended(seat: Seat, mail: Mail, task: TaskPayload, ending: Ending, times: Times): void {
    seat.meet(seat.state === "WORKING" ? "ended" : "not_started");
    this.#report(seat, mail, task, ending, times);
    this.#running.delete(seat);
  }

  #report(seat: Seat, mail: Mail, task: TaskPayload, ending: Ending, times: Times): void {
    const { spool, outputBytesMax } = this.#options;
    const ran = ending.reason !== "not_started";
    const sizes = {
      out: ran ? fileBytes(spoolPath(spool, task.seq, task.attempt, "out")) : 0,
      err: ran ? fileBytes(spoolPath(spool, task.seq, task.attempt, "err")) : 0,
    };
    const result = resultOf(seat.id, task, ending, times, sizes, outputBytesMax);
    globalThis.crashPoint?.("result.made");
    this.#outbox.add({ from: seat.id, result, replyTo: mail.msgId, onAccepted: () => this.#accepted(seat, mail) });
    this.#flushSoon();
  }

  /** The result is on the bus: the task is done with. */
  #accepted(seat: Seat, mail: Mail): void {
    mail.status = "settled";
    if (seat.running?.mail === mail) seat.running = undefined;
    if (seat.running === undefined && this.#retired.has(seat.id)) seat.meet("stopped");
    this.#answered.add(seat);
  }

  /** Takes the tasks off the bus whose results are on it, and looks for the next. */
  #goOn(): void {
    const seats = [...this.#answered];
    this.#answered.clear();
    const settled = seats.map((seat) => ({ lease: seat.lease, count: seat.mailbox.dropSettled() }));
    const some = settled.filter(({ count }) => count > 0);
    this.#options.bus.ackAll(
      some.map(({ lease }) => lease),
      some.map(({ count }) => count),
    );
    globalThis.crashPoint?.("result.settled");
    for (const seat of seats) this.#read(seat);
  }

  /** Results that come in the same turn of the loop go as one batch. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#outbox.length === 0) return;
    clearTimeout(this.#retry);
    const accepted = this.#outbox.send();
    this.#goOn();
    if (this.#outbox.length > 0) this.#retry = setTimeout(() => this.#flush(), limits.resultRetryMs);
    if (accepted > 0) this.#options.onResults?.();
    if (!this.#idle()) return;
    this.#options.onIdle?.();
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
