/**
 * A run, from the first task to the report. It gathers the events (input, results, lost coordinators, signals, the time
 * limit), asks `decide.ts` what follows, and does that.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import { nextTurn } from "../os/stream.ts";
import { openDescriptors } from "../os/usage.ts";
import type { RunEnd, RunOptions } from "./contract.ts";
import { type RunCommand, type RunEvent, RunState, succeeded } from "./decide.ts";
import { finish } from "./finish.ts";
import { readTasks } from "./intake.ts";
import type { RunLook } from "./observer.ts";
import { cancelledUnbegun } from "./outcome.ts";
import type { Output } from "./output.ts";
import { ReaderPatience } from "./patience.ts";
import type { Recorder } from "./recorder.ts";
import type { Failures } from "./report.ts";
import { taskPayload } from "./spec.ts";
import type { Failover, Swarm, SwarmEvents } from "./swarm.ts";
import { Timing } from "./timing.ts";

const FOLLOW_MS = 50;
const SAMPLE_MS = 1000;

export class Run {
  private readonly state: RunState;
  private readonly swarm: Swarm;
  private readonly output: Output;
  private readonly patience: ReaderPatience;
  private readonly recorder: Recorder;
  private readonly timing: Timing;
  private readonly failures: Failures;
  private readonly outgoing = new Map<string, TaskPayload[]>();
  private readonly startMs = monotonicMs();
  private readonly failovers: Failover[];
  private countedMs = 0;
  private failure: unknown;
  /** What the gate is closed for. */
  private waitsFor: string | undefined;
  private total: number | undefined;
  private listRead = false;
  private turning = false;
  private lost = false;
  private closed = false;
  /** Everything is out that could be printed. */
  private isPrinted = false;
  /** Nothing is left to stop. */
  private ending = false;
  private changed: () => void = () => undefined;
  private over: () => void = () => undefined;
  private readonly peak = { bus: 0, fds: 0 };

  /** Given to others as it is: it is called for each task and each result. */
  private readonly handle = (event: RunEvent): void => {
    if (event.type === "result") this.measure(event.result);
    if (event.type === "hello") this.greeted(event.coordinator, event.workers);
    for (const command of this.state.handle(event)) this.perform(command);
    if (event.type === "lost") this.flush();
  };

  constructor(private readonly options: RunOptions) {
    const { shape, oneTaskEach, retries, halt, graceMs: killGraceMs, gate } = options;
    const events: SwarmEvents = {
      onEvent: this.handle,
      onWake: () => void this.turn(),
      onFailover: (failover) => {
        this.failovers.push(failover);
        this.recorder.failover(failover);
        for (const observer of options.observers) observer.failover?.(failover);
      },
      onStop: options.onStop,
      wantsTeams: () => this.state.wantsTeams,
    };
    this.swarm = options.openSwarm(events);
    const teams = this.swarm.coordinators.map((id, n) => ({ id, workers: shape.teams[n] as number }));
    const onFailure = (error: unknown): void => this.fail(error);
    this.recorder = options.openRecorder(() => this.state.counts.retried, onFailure);
    const { counts: earlier, failures, attempts, failovers } = this.recorder.earlier;
    this.failures = failures;
    this.failovers = [...failovers];
    // Higher than any of an earlier execution of the run.
    const firstAttempt = attempts + 1;
    this.timing = new Timing(firstAttempt, shape.workers);
    const gated = gate !== undefined;

    this.state = new RunState({ teams, oneTaskEach, retries, halt, killGraceMs, firstAttempt, earlier, gated });
    this.output = options.openOutput(this.recorder, onFailure);
    this.patience = new ReaderPatience(() => this.output.written);
  }

  /** Resolves when every task has its result and nothing of the run is left but its bus. */
  async run(): Promise<RunEnd> {
    const { timeLimitMs, graceMs, lineBuffer, observers } = this.options;
    const over = new Promise<void>((resolve) => {
      this.over = resolve;
    });
    const timers = [setInterval(() => this.tick(), limits.pollMs), setInterval(() => this.sample(), SAMPLE_MS)];
    if (lineBuffer) timers.push(setInterval(() => this.output.follow(this.state.underWay()), FOLLOW_MS));
    if (observers.length > 0) timers.push(setInterval(() => this.look(), limits.pollMs));
    const limit = setTimeout(() => this.stop("timed_out", graceMs), timeLimitMs ?? 2 ** 31 - 1);
    this.options.guardian.ready();
    this.admit();
    this.swarm.start();
    await this.readTasks();
    this.handle({ type: "tasks_ended" });
    this.total = this.state.counts.total;
    await this.turn();
    await over;
    this.options.guardian.over();
    clearTimeout(limit);
    for (const timer of timers) clearInterval(timer);
    globalThis.crashPoint?.("run.over");
    await Promise.race([this.output.end().then(() => this.printed()), this.patience.over]);
    this.patience.close();
    this.recorder.flush();
    this.sample();
    this.look();
    this.ending = true;
    // Without a bus nobody can be asked to end: `finish` ends every descendant in any case.
    if (!this.lost) await this.swarm.end();
    globalThis.crashPoint?.("run.ended");
    return this.finish();
  }

  /** Ends the run early. Called again, the shortest grace counts: with 0 it ends what still runs at once. */
  stop(why: "interrupted" | "timed_out", graceMs: number): void {
    if (this.ending) return;
    this.patience.limit(graceMs);
    this.handle({ type: "stop", why, graceMs });
    void this.turn();
  }

  private printed(): void {
    this.isPrinted = true;
  }

  private async readTasks(): Promise<void> {
    const { state, output, recorder, handle } = this;
    const { source, onWarning } = this.options;
    const [flush, change] = [() => this.flush(), () => this.change()];
    try {
      this.listRead = await readTasks(source, { state, output, recorder, handle, flush, change, onWarning });
    } catch (error) {
      // What has been read so far runs to its end; then the run says what was wrong with the list.
      if (error instanceof CfnError) this.failure ??= error;
      else this.fail(error);
    }
  }

  /** Resolves at the end of the next turn: results have come, or the run is ending. */
  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.changed = resolve;
    });
  }

  private async turn(): Promise<void> {
    if (this.turning || this.closed) return;
    this.turning = true;
    while (!this.closed && this.swarm.turn()) {
      this.flush();
      this.changed();
      await nextTurn();
    }
    if (!this.closed) this.flush();
    this.turning = false;
    this.changed();
    if (this.state.done && this.countedMs === 0) {
      this.countedMs = monotonicMs();
      this.over();
    }
  }

  private tick(): void {
    this.admit();
    void this.turn();
  }

  private admit(): void {
    const { gate } = this.options;
    if (gate === undefined) return;
    const { starts, waitsFor } = gate.look(monotonicMs(), this.state.waits);
    this.waitsFor = waitsFor;
    this.handle({ type: "admission", starts });
  }

  private perform(command: RunCommand): void {
    switch (command.type) {
      case "dispatch": {
        const { coordinator, task, attempt } = command;
        this.recorder.attempt(attempt);
        const payload = taskPayload(task, attempt, this.options.timeoutMs);
        const batch = this.outgoing.get(coordinator);
        if (batch === undefined) this.outgoing.set(coordinator, [payload]);
        else batch.push(payload);
        return;
      }
      case "adopt":
        this.swarm.adopt(command.coordinator, taskPayload(command.task, command.attempt, this.options.timeoutMs));
        return;
      case "discard":
        this.output.discard(command.result);
        return;
      case "settle": {
        const { task, result } = command;
        if (!succeeded(result)) this.failures.add(result);
        this.output.add(task, result);
        return;
      }
      case "drain":
        this.cancelOutgoing();
        this.swarm.drain();
        return;
      case "stop":
        this.cancelOutgoing();
        this.swarm.stop(command.graceMs);
    }
  }

  /** Hands over what was dispatched since the last time, one batch per coordinator. */
  private flush(): void {
    for (const [coordinator, tasks] of this.outgoing) {
      this.outgoing.delete(coordinator);
      this.timing.published(tasks, unixSeconds() * 1000);
      this.swarm.dispatch(coordinator, tasks);
    }
  }

  /** What was dispatched and not handed over would reach its coordinator behind the order to end, perhaps when that has left. */
  private cancelOutgoing(): void {
    for (const [coordinator, tasks] of this.outgoing) {
      this.outgoing.delete(coordinator);
      for (const task of tasks) this.handle({ type: "result", result: cancelledUnbegun(task) });
    }
  }

  /** Nothing more can be recorded or printed: the run ends early and says why. */
  private fail(error: unknown): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.stop("interrupted", this.options.graceMs);
  }

  /** No result will come any more: the run ends here, and its processes with it. */
  private busLost(): void {
    this.failure ??= new CfnError(
      "unavailable",
      "the bus was removed while the run was under way",
      "leave its directory alone; RemoveIPC=yes in logind.conf removes it at logout. Then run again",
    );
    this.lost = true;
    this.state.handle({ type: "stop", why: "interrupted", graceMs: 0 });
    this.changed();
    this.over();
  }

  private greeted(coordinator: string, workers: number | undefined): void {
    for (const observer of this.options.observers) observer.ready?.(coordinator, workers);
  }

  private measure(result: ResultPayload): void {
    const waits = this.timing.ended(result, unixSeconds() * 1000);
    for (const observer of this.options.observers) observer.attempt?.(result, waits);
  }

  private sample(): void {
    if (!this.options.busIsThere()) this.busLost();
    this.peak.bus = Math.max(this.peak.bus, this.options.busBytes?.() ?? 0);
    this.peak.fds = Math.max(this.peak.fds, openDescriptors());
  }

  private look(): void {
    const { counts, active, ending, done } = this.state;
    const { swarm } = this;
    const look: RunLook = {
      counts,
      total: this.total,
      active,
      earlier: this.recorder.earlier.seqs.size,
      elapsedMs: monotonicMs() - this.startMs,
      waitsFor: this.state.waits ? this.waitsFor : undefined,
      ending,
      done,
      // Only who asks pays for the list of everything that is under way.
      get mesh() {
        return swarm.mesh;
      },
      get hierarchical() {
        return swarm.hierarchical;
      },
    };
    for (const observer of this.options.observers) observer.look?.(look);
  }

  private finish(): Promise<RunEnd> {
    // Whoever is still to wake us finds no bus any more.
    this.closed = true;
    const keep = this.lost ? undefined : (lines: string) => this.recorder.keepUndelivered(lines);
    return finish(this.options, keep, () => {
      const { state, swarm, timing, failures, failovers, peak, failure, listRead, isPrinted } = this;
      const coordinationMs = this.countedMs - this.startMs;
      return { state, swarm, timing, coordinationMs, failures, failovers, peak, failure, listRead, isPrinted };
    });
  }
}
