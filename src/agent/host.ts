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
import type { Delivery } from "../bus/contract.ts";
import { orLater } from "../errors.ts";
import { limits } from "../limits.ts";
import { spoolPath, type TaskPayload } from "../message/protocol.ts";
import { monotonicMs, systemMs, unixSeconds } from "../os/clock.ts";
import { type EnvironmentBlock, environmentBlock } from "../os/environment.ts";
import { reapNow } from "../os/reap.ts";
import { signalGroup } from "../os/signals.ts";
import { Answers } from "./answers.ts";
import { binDirectory } from "./bin.ts";
import type { Host, HostOptions } from "./contract.ts";
import type { Control } from "./control.ts";
import { Deadlines } from "./deadlines.ts";
import { AGENT_STOPPED, cancelledBeforeStart, type Ending } from "./ending.ts";
import { Execution, type Times } from "./execution.ts";
import { FloodGuard } from "./flood.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Mail } from "./mailbox.ts";
import { Sampler } from "./sampler.ts";
import type { Seat } from "./seat.ts";
import { Seats } from "./seats.ts";
import { StateFiles } from "./states.ts";
import { sharedVariables, taskVariables } from "./variables.ts";

/** Registers the seats and takes the leases of their control chains; tasks that are already there are started. */
export function createHost(options: HostOptions): Host {
  return new SwarmHost(options);
}

class SwarmHost implements Host {
  readonly #options: HostOptions;
  readonly #seats: Seats;
  #opening: ReturnType<typeof setImmediate> | undefined;
  readonly #states: StateFiles;
  readonly #environment: EnvironmentBlock;
  readonly #deadlines = new Deadlines();
  readonly #flood: FloodGuard;
  readonly #heartbeat: Heartbeat;
  readonly #answers: Answers;
  readonly #sampler: Sampler;
  readonly #tick: ReturnType<typeof setInterval>;
  readonly #running = new Set<Seat>();
  #beatMs = Number.NEGATIVE_INFINITY;
  /** Retired, and not told of yet. */
  #retiring: string[] = [];
  #idleWaiters: (() => void)[] = [];

  constructor(options: HostOptions) {
    const { bus, lead, runId, env, spool, outputBytesMax } = options;
    const busDir = bus.info.dir;
    this.#options = options;
    this.#states = new StateFiles(busDir);
    this.#seats = new Seats(options, this.#states);
    globalThis.crashPoint?.("host.registered");
    this.#environment = environmentBlock(sharedVariables(env, { busDir, lead, runId, bin: binDirectory(busDir) }));
    this.#flood = new FloodGuard(spool, outputBytesMax);
    this.#heartbeat = new Heartbeat(busDir, lead);
    this.#answers = new Answers(options, {
      onSettled: (seats) => this.#goOn(seats),
      onSent: (accepted) => this.#sent(accepted),
    });
    this.#sampler = new Sampler(options.roster, options.health, systemMs());
    this.#tick = setInterval(() => this.#look(), limits.pollMs);
    // The first beat is here, and no look: nothing is called back before whoever makes this host has it.
    this.#beatMs = monotonicMs();
    this.#heartbeat.beat(0);
    this.#open();
    globalThis.crashPoint?.("host.open");
  }

  get active(): number {
    return this.#running.size;
  }

  get seats(): readonly string[] {
    return this.#seats.taking;
  }

  get exhausted(): boolean {
    return !this.#seats.awaits && this.#seats.takesNone;
  }

  wake(ids: readonly string[]): void {
    const unread: Seat[] = [];
    // One that has older mail is read alone: what comes behind that is new.
    // What the bus cannot do just then is done at the tick, or when more seats are opened.
    for (const seat of orLater(() => this.#seats.of(ids)) ?? []) {
      if (seat.unread) unread.push(seat);
      else this.#read(seat);
    }
    const leases = unread.map(({ lease }) => lease);
    const mail = orLater(() => this.#options.bus.readAll(leases, limits.mailAhead));
    if (mail === undefined) return;
    unread.forEach((seat, n) => {
      this.#serve(seat, seat.keep(mail[n] as Delivery[]));
    });
  }

  look(id: string): void {
    if (this.#seats.has(id)) this.wake([id]);
  }

  drain(): boolean {
    reapNow();
    this.#answers.flush();
    return this.#idle();
  }

  stop(graceMs: number): Promise<void> {
    this.#open(this.#seats.unopened);
    for (const seat of this.#seats.opened()) this.#stopSeat(seat, graceMs, "the swarm was stopped");
    globalThis.crashPoint?.("shutdown.stopping");
    this.#answers.flushSoon();
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
    return this.#running.size === 0 && this.#answers.waiting === 0;
  }

  #warn(text: string): void {
    this.#options.onWarning?.(text);
  }

  /** The tick: what no event told. Each looks at some of the seats, so that it takes as long with 5,000 of them as with 64. */
  #look(): void {
    for (const seat of this.#seats.next(limits.seatsPerTick)) this.#read(seat);
    this.#answers.flush();
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
    if (this.#seats.awaits) this.#takeAwaited();
    this.#heartbeat.beat(this.active);
  }

  #takeAwaited(): void {
    const free = this.#seats.takeAwaited();
    this.#open();
    if (free.length > 0) this.#options.onSeats?.(free);
  }

  /** Opens seats that nobody has needed yet, and serves what lies there; the next ones in the next turn of the loop. */
  #open(count: number = limits.seatsPerTick): void {
    this.wake(this.#seats.firstUnopened(count));
    clearImmediate(this.#opening);
    if (this.#seats.unopened > 0) this.#opening = setImmediate(() => this.#open());
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
    if (seat.retired) return;
    seat.retired = true;
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
        this.#answers.report(seat, mail, task, cancelledBeforeStart(), { startedAt: unixSeconds(), runTimeMs: 0 });
    }
  }

  /** Starts the seat's next task if it has none. */
  #advance(seat: Seat): void {
    if (seat.running !== undefined || seat.stopped) return;
    const mail = seat.mailbox.takeTask();
    if (mail?.task === undefined) return;
    const { task } = mail;
    const { spool, killGraceMs, roster } = this.#options;
    const number = this.#seats.numbers.get(seat.id) as number;
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
    this.#answers.report(seat, mail, task, ending, times);
    this.#running.delete(seat);
  }

  /** Their results are on the bus, and the tasks off it: each looks for its next. */
  #goOn(seats: readonly Seat[]): void {
    for (const seat of seats) this.#read(seat);
  }

  #sent(accepted: number): void {
    if (accepted > 0) this.#options.onResults?.();
    if (!this.#idle()) return;
    this.#options.onIdle?.();
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
