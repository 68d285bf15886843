/**
 * A run, from the first task to the report. It gathers the events (input, results, lost coordinators, signals, the time
 * limit), asks `decide.ts` what follows, and does that.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { LatencyCounts } from "../message/latency.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { monotonicMs, sleepMs, unixSeconds } from "../os/clock.ts";
import { endDescendants, hasOthers } from "../os/descendants.ts";
import { reapNow } from "../os/reap.ts";
import { nextTurn } from "../os/stream.ts";
import { openDescriptors, peakRssBytes } from "../os/usage.ts";
import { type Halt, type RunCommand, type RunEvent, RunState, succeeded } from "./decide.ts";
import type { Gate } from "./gate.ts";
import type { Guardian } from "./guardian.ts";
import type { RunLook, RunObserver, Waits } from "./observer.ts";
import type { Output } from "./output.ts";
import { ReaderPatience } from "./patience.ts";
import type { Recorder } from "./recorder.ts";
import { deliveryReports, type Failures, type RunReport } from "./report.ts";
import type { Shape } from "./shape.ts";
import type { TaskSource } from "./source.ts";
import { taskPayload } from "./spec.ts";
import type { Failover, Swarm, SwarmEvents } from "./swarm.ts";
import { type KeepLines, type MessageReport, noMessages } from "./undelivered.ts";

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

/** Tasks that are read before they are handed over and results and signals get a turn; fewer at first: agents can start. */
const BURST = 256;
const FIRST_BURST = 16;
const FOLLOW_MS = 50;
const SAMPLE_MS = 1000;
const DYING_MS = 25;

export class Run {
  private readonly state: RunState;
  private readonly swarm: Swarm;
  private readonly output: Output;
  private readonly patience: ReaderPatience;
  private readonly latency = { task: new LatencyCounts(), result: new LatencyCounts() };
  private readonly recorder: Recorder;
  private readonly failures: Failures;
  /** When the attempt under way was published, Unix milliseconds. */
  private readonly publishedAt = new Map<number, number>();
  private readonly outgoing = new Map<string, TaskPayload[]>();
  private readonly startMs = monotonicMs();
  private readonly failovers: Failover[];
  /** What the first attempt at a task is numbered: higher than any of an earlier execution of the run. */
  private readonly firstAttempt: number;
  private firstSpawn = Number.POSITIVE_INFINITY;
  private lastSpawn = 0;
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

  constructor(private readonly options: RunOptions) {
    const { shape, oneTaskEach, retries, halt, graceMs: killGraceMs, gate } = options;
    const events: SwarmEvents = {
      onEvent: (event) => this.handle(event),
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
    this.firstAttempt = attempts + 1;
    const { firstAttempt } = this;
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
    const { source } = this.options;
    let reading: Promise<void> | undefined;
    let handled = 0;
    let burst = FIRST_BURST;
    try {
      while (!this.state.ending) {
        if (this.state.room === 0 || this.output.held > limits.resultsHeld) {
          this.flush();
          await this.change();
          continue;
        }
        const next = source.next();
        if (next === "end") {
          this.listRead = true;
          return;
        }
        if (next === "wait") {
          this.flush();
          reading ??= source.more().finally(() => {
            reading = undefined;
          });
          // Input may be long in coming; a run that ends meanwhile does not wait for it.
          await Promise.race([reading, this.change()]);
        } else if (!this.recorder.has(next.seq)) this.handle({ type: "task_available", task: next });
        if (++handled === burst) {
          handled = 0;
          burst = Math.min(2 * burst, BURST);
          this.flush();
          await nextTurn();
        }
      }
      reading?.catch((error: unknown) => this.options.onWarning(`reading tasks: ${error}`));
    } catch (error) {
      // What has been read so far runs to its end; then the run says what was wrong with the list.
      if (error instanceof CfnError) this.failure ??= error;
      else this.fail(error);
    } finally {
      source.close();
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

  private handle(event: RunEvent): void {
    if (event.type === "result") this.measure(event.result);
    if (event.type === "hello") this.greeted(event.coordinator, event.workers);
    for (const command of this.state.handle(event)) this.perform(command);
    if (event.type === "lost") this.flush();
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
        this.swarm.drain();
        return;
      case "stop":
        this.swarm.stop(command.graceMs);
    }
  }

  /** Hands over what was dispatched since the last time, one batch per coordinator. */
  private flush(): void {
    for (const [coordinator, tasks] of this.outgoing) {
      this.outgoing.delete(coordinator);
      const now = unixSeconds() * 1000;
      for (const task of tasks) this.publishedAt.set(task.seq, now);
      this.swarm.dispatch(coordinator, tasks);
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
    const waits = this.waitsOf(result);
    for (const observer of this.options.observers) observer.attempt?.(result, waits);
    if (waits === undefined) return;
    this.latency.task.add(waits.task);
    this.latency.result.add(waits.result);
    if (result.attempt > this.firstAttempt || result.seq > this.options.shape.workers) return;
    const startedMs = result.started_at * 1000;
    this.firstSpawn = Math.min(this.firstSpawn, startedMs);
    this.lastSpawn = Math.max(this.lastSpawn, startedMs);
  }

  private waitsOf({ seq, started_at, run_time_ms }: ResultPayload): Waits | undefined {
    const published = this.publishedAt.get(seq);
    this.publishedAt.delete(seq);
    if (published === undefined || started_at === 0) return undefined;
    const startedMs = started_at * 1000;
    return { task: startedMs - published, result: unixSeconds() * 1000 - (startedMs + run_time_ms) };
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

  /** All agents have ended: what they have not read of each other's messages. */
  private async drainInboxes(): Promise<MessageReport> {
    if (this.lost) return noMessages;
    try {
      return await this.options.drainInboxes((lines) => this.recorder.keepUndelivered(lines));
    } catch (error) {
      // The bus was removed just now, or its space is gone.
      if (!(error instanceof CfnError)) throw error;
      this.options.onWarning(`messages of this run were not counted: ${error.message}`);
      return noMessages;
    }
  }

  private async finish(): Promise<RunEnd> {
    // Whoever is still to wake us finds no bus any more.
    this.closed = true;
    const { runId, shape, guardian, observers } = this.options;
    const spared = observers.flatMap((observer) => observer.processes?.() ?? []);
    if (guardian.pid > 0) spared.push(guardian.pid);
    awaitDying(spared);
    const orphans = endDescendants(limits.endWaitMs, spared);
    const messages = await this.drainInboxes();
    const { mesh, hierarchical } = this.swarm;
    const report: RunReport = {
      schema: "cfn.run/1",
      run_id: runId,
      status: this.state.status,
      topology: shape.topology,
      agents: {
        masters: shape.topology === "hybrid" ? 1 : 0,
        coordinators: shape.teams.length,
        workers: shape.workers,
      },
      coordination_time_ms: rounded(this.countedMs - this.startMs),
      spawn_time_ms: rounded(Math.max(this.lastSpawn - this.firstSpawn, 0)),
      tasks: this.state.counts,
      ...deliveryReports(mesh, hierarchical),
      messages,
      latency_ms: { task: this.latency.task.quantiles(), result: this.latency.result.quantiles() },
      resources: {
        peak_rss_bytes: peakRssBytes() + this.swarm.peakRssBytes,
        bus_bytes: this.peak.bus,
        open_fds_max: Math.max(this.peak.fds, this.swarm.openFdsMax),
      },
      failures: this.failures.listed,
      failures_omitted: this.failures.omitted,
      failovers: this.failovers,
      orphans_ended: orphans.ended,
      orphans_left: orphans.left.length,
      bus_damaged: this.options.busDamaged(),
      alerts: [],
      alerts_omitted: 0,
    };
    for (const observer of observers) observer.ended?.(report);
    const { isPrinted, listRead, failure } = this;
    if (!isPrinted) {
      const remedy = "cfn run --resume runs them again";
      this.options.onWarning(`nobody reads the output: tasks whose output is not out are not recorded; ${remedy}`);
    }
    const finished = listRead && isPrinted && report.tasks.cancelled === 0 && failure === undefined;
    return { report, failure, finished, left: orphans.left };
  }
}

/**
 * What has been killed with its agent takes a moment to die, and is no orphan. Blocks, at most `DYING_MS` and only while
 * there is a child beside the `spared` ones.
 */
function awaitDying(spared: readonly number[]): void {
  for (const until = monotonicMs() + DYING_MS; monotonicMs() < until && hasOthers(spared); ) {
    reapNow();
    sleepMs(1);
  }
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
