/**
 * What the master does next: events in, commands out. No clock, no effect; `master.ts` gathers the events and carries out
 * the commands.
 *
 * A task waits (read, not given out), is out (with one coordinator) and is settled (its final result recorded), once. A
 * failed attempt that may be tried again goes from out back to waiting.
 */
import { assert } from "../assert.ts";
import type { ResultPayload } from "../message/protocol.ts";
import { unreportedResult } from "./outcome.ts";
import { Queue } from "./queue.ts";
import type { TaskSpec } from "./spec.ts";

export type Halt = "never" | "soon" | "now";

export type RunEvent =
  /**
   * A coordinator takes tasks from now on, for as many workers as planned where it does not say how many. `exhausted`: for
   * none, and none will come: each was stopped by itself.
   */
  | { readonly type: "hello"; readonly coordinator: string; readonly workers?: number; readonly exhausted?: boolean }
  | { readonly type: "task_available"; readonly task: TaskSpec }
  | { readonly type: "tasks_ended" }
  | { readonly type: "result"; readonly result: ResultPayload }
  /** A coordinator died before its `bye`. */
  | {
      readonly type: "lost";
      readonly coordinator: string;
      readonly detail: string;
      /** Attempts that its agents still run, or that ended unreported: their results will come in another way. */
      readonly held: readonly Attempt[];
      /** Another will take its place. */
      readonly returns: boolean;
    }
  /** One of those held has no result after all. */
  | { readonly type: "untraced"; readonly attempt: Attempt }
  /** As many more tasks may be given out until this is said again. */
  | { readonly type: "admission"; readonly starts: number }
  /** The user or the time limit ends the run. Sent again with grace 0 for "at once". */
  | { readonly type: "stop"; readonly why: "interrupted" | "timed_out"; readonly graceMs: number };

export interface Attempt {
  readonly seq: number;
  readonly attempt: number;
}

export type RunCommand =
  | { readonly type: "dispatch"; readonly coordinator: string; readonly task: TaskSpec; readonly attempt: number }
  /** The agent of this attempt outlives its coordinator: somebody else sees it to its end. */
  | { readonly type: "adopt"; readonly coordinator: string; readonly task: TaskSpec; readonly attempt: number }
  /** This attempt is not the last: its output is dropped. */
  | { readonly type: "discard"; readonly result: ResultPayload }
  | { readonly type: "settle"; readonly task: TaskSpec; readonly result: ResultPayload }
  /** Coordinators start no further task; what runs may finish. */
  | { readonly type: "drain" }
  /** Coordinators end what runs: TERM, KILL after the grace. */
  | { readonly type: "stop"; readonly graceMs: number };

export interface TaskCounts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly timed_out: number;
  readonly cancelled: number;
  readonly retried: number;
}

export interface TeamSize {
  readonly id: string;
  readonly workers: number;
}

export interface RunPolicy {
  readonly teams: readonly TeamSize[];
  /** Without a task list each worker gets exactly one first attempt. */
  readonly oneTaskEach: boolean;
  readonly retries: number;
  readonly halt: Halt;
  readonly killGraceMs: number;
  /** Nothing starts but what `admission` lets: coordinators are given no task ahead of a free worker. */
  readonly gated?: boolean;
  /** Tasks that have their result from an earlier execution of this run. */
  /** The number of a task's first attempt, where it is not 1. */
  readonly firstAttempt?: number;
  readonly earlier?: Pick<TaskCounts, "completed" | "failed" | "timed_out" | "retried">;
}

interface Team {
  readonly id: string;
  capacity: number;
  state: "starting" | "ready" | "gone";
  exhausted: boolean;
  load: number;
  /** First attempts that it may still be given. */
  share: number;
}

interface Waiting {
  readonly task: TaskSpec;
  readonly attempt: number;
  /** Attempts that failed. One whose coordinator died is not among them. */
  readonly failures: number;
}

interface Out extends Waiting {
  /** "" once its agent has been adopted. */
  readonly coordinator: string;
}

/** So that a worker that ends finds the next task in its coordinator, not a message away. */
const prefetch = (workers: number): number => Math.max(2, Math.floor(workers / 4));

export const succeeded = (result: ResultPayload): boolean => result.reason === "exited" && result.exit_code === 0;

export class RunState {
  private readonly teams = new Map<string, Team>();
  private readonly inOrder: readonly Team[];
  private readonly waiting = new Queue<Waiting>((entry) => entry.task.priority);
  private readonly out = new Map<number, Out>();
  private readonly tally = { total: 0, completed: 0, failed: 0, timed_out: 0, cancelled: 0, retried: 0 };
  private mode: "running" | "draining" | "stopping" = "running";
  /** What is said of tasks that never begin. */
  private unbegun = "the run ended before it began";
  private stoppedFor: "interrupted" | "timed_out" | undefined;
  private tasksEnded = false;
  private readonly firstAttempt: number;
  /** Tasks that may still be given out. */
  private admitted: number;

  constructor(private readonly policy: RunPolicy) {
    for (const { id, workers } of policy.teams) {
      const capacity = this.capacityOf(workers);
      const share = policy.oneTaskEach ? workers : Number.POSITIVE_INFINITY;
      this.teams.set(id, { id, capacity, state: "starting", exhausted: false, load: 0, share });
    }
    this.inOrder = [...this.teams.values()];
    this.firstAttempt = policy.firstAttempt ?? 1;
    this.admitted = policy.gated === true ? 0 : Number.POSITIVE_INFINITY;
    if (policy.earlier === undefined) return;
    const { completed, failed, timed_out } = policy.earlier;
    Object.assign(this.tally, policy.earlier, { total: completed + failed + timed_out });
  }

  /** How many more tasks to read now: what the coordinators can take, and nothing ahead of that. */
  get room(): number {
    if (this.tasksEnded || this.mode !== "running") return 0;
    let capacity = 0;
    for (const team of this.teams.values()) if (team.state !== "gone") capacity += team.capacity;
    return Math.max(0, capacity - this.out.size - this.waiting.size);
  }

  /** No task is left, and none will come. */
  get done(): boolean {
    return (this.tasksEnded || this.mode !== "running") && this.out.size === 0 && this.waiting.size === 0;
  }

  /** No further task is read. */
  get ending(): boolean {
    return this.mode !== "running";
  }

  /** Whether a task waits to be given out. */
  get waits(): boolean {
    return this.waiting.size > 0;
  }

  get active(): number {
    return this.out.size;
  }

  /** Whether there is or will be something to do for one more coordinator. */
  get wantsTeams(): boolean {
    return this.mode === "running" && (!this.tasksEnded || this.waiting.size > 0);
  }

  get counts(): TaskCounts {
    return { ...this.tally };
  }

  get status(): "completed" | "failed" | "timed_out" | "interrupted" {
    if (this.stoppedFor !== undefined) return this.stoppedFor;
    return this.tally.completed === this.tally.total && this.mode === "running" ? "completed" : "failed";
  }

  /** Tasks that are with a coordinator, for whoever follows their output. */
  *underWay(): Iterable<Out> {
    yield* this.out.values();
  }

  handle(event: RunEvent): RunCommand[] {
    const commands: RunCommand[] = [];
    switch (event.type) {
      case "hello":
        this.hello(event, commands);
        break;
      case "task_available":
        assert(!this.tasksEnded, "no task comes after the last");
        this.tally.total++;
        this.waiting.add({ task: event.task, attempt: this.firstAttempt, failures: 0 });
        break;
      case "tasks_ended":
        this.tasksEnded = true;
        break;
      case "result":
        this.result(event.result, commands);
        break;
      case "lost":
        this.lost(event, commands);
        break;
      case "untraced": {
        const out = this.out.get(event.attempt.seq);
        if (out?.attempt === event.attempt.attempt) this.giveAnew(out);
        break;
      }
      case "admission":
        this.admitted = event.starts;
        break;
      case "stop":
        this.stoppedFor ??= event.why;
        this.stop(event.graceMs, commands);
        break;
    }
    this.settleWaiting(commands);
    this.dispatch(commands);
    return commands;
  }

  private hello(event: Extract<RunEvent, { type: "hello" }>, commands: RunCommand[]): void {
    const { coordinator, workers, exhausted = false } = event;
    const team = this.teams.get(coordinator);
    if (team === undefined || team.state === "gone") return;
    team.state = "ready";
    team.exhausted = exhausted;
    if (workers !== undefined) team.capacity = this.capacityOf(workers);
    if (!exhausted) return;
    this.shareOut();
    this.endWithoutTeams(commands);
  }

  private capacityOf(workers: number): number {
    return this.policy.oneTaskEach || this.policy.gated === true || workers === 0
      ? workers
      : workers + prefetch(workers);
  }

  /** What a team would still have been given goes to the others. */
  private shareOut(): void {
    if (this.policy.oneTaskEach) for (const team of this.teams.values()) team.share = Number.POSITIVE_INFINITY;
  }

  /** Nobody is left who could do what waits. */
  private endWithoutTeams(commands: RunCommand[]): void {
    if (this.anyTeam || this.mode !== "running") return;
    this.mode = "draining";
    this.unbegun = "no agent is left to do it";
    commands.push({ type: "drain" });
  }

  private result(result: ResultPayload, commands: RunCommand[]): void {
    const out = this.out.get(result.seq);
    // A late result of an attempt that was given up: another attempt's counts.
    if (out === undefined || out.attempt !== result.attempt) return;
    this.remove(out);
    const retries = out.task.retries ?? this.policy.retries;
    const again = result.reason !== "cancelled" && out.failures < retries && this.mode === "running" && this.anyTeam;
    if (!succeeded(result) && again) {
      this.tally.retried++;
      this.waiting.add({ task: out.task, attempt: result.attempt + 1, failures: out.failures + 1 });
      commands.push({ type: "discard", result });
      return;
    }
    this.settle(out.task, result, commands);
    if (succeeded(result) || this.policy.halt === "never" || this.mode !== "running") return;
    if (this.policy.halt === "now") this.stop(this.policy.killGraceMs, commands);
    else {
      this.mode = "draining";
      commands.push({ type: "drain" });
    }
  }

  private settle(task: TaskSpec, result: ResultPayload, commands: RunCommand[]): void {
    if (succeeded(result)) this.tally.completed++;
    else if (result.reason === "timed_out") this.tally.timed_out++;
    else if (result.reason === "cancelled") this.tally.cancelled++;
    else this.tally.failed++;
    commands.push({ type: "settle", task, result });
  }

  private remove(out: Out): void {
    this.out.delete(out.task.seq);
    const team = this.teams.get(out.coordinator);
    if (team !== undefined) team.load--;
  }

  /** Its attempt came to nothing through no fault of its own. The number of the attempt rises: it may have been begun. */
  private giveAnew(out: Out): void {
    this.remove(out);
    this.waiting.add({ task: out.task, attempt: out.attempt + 1, failures: out.failures });
  }

  private get anyTeam(): boolean {
    for (const team of this.teams.values()) if (team.state !== "gone" && !team.exhausted) return true;
    return false;
  }

  private lost(event: Extract<RunEvent, { type: "lost" }>, commands: RunCommand[]): void {
    const { coordinator, detail, held, returns } = event;
    const team = this.teams.get(coordinator);
    if (team === undefined || team.state === "gone") return;
    team.state = returns ? "starting" : "gone";
    this.shareOut();
    const attempts = new Map(held.map(({ seq, attempt }) => [seq, attempt]));
    for (const out of [...this.out.values()]) {
      if (out.coordinator !== coordinator) continue;
      if (attempts.get(out.task.seq) === out.attempt) {
        this.remove(out);
        this.out.set(out.task.seq, { ...out, coordinator: "" });
        commands.push({ type: "adopt", coordinator, task: out.task, attempt: out.attempt });
      } else if (this.anyTeam) this.giveAnew(out);
      else {
        this.remove(out);
        this.settle(out.task, unreportedResult(out.task, out.attempt, "lost", detail, coordinator), commands);
      }
    }
    this.endWithoutTeams(commands);
  }

  private stop(graceMs: number, commands: RunCommand[]): void {
    this.mode = "stopping";
    commands.push({ type: "stop", graceMs });
  }

  /** What waits when the run is ending never runs. */
  private settleWaiting(commands: RunCommand[]): void {
    if (this.mode === "running") return;
    for (let entry = this.waiting.take(); entry !== undefined; entry = this.waiting.take()) {
      const { task, attempt } = entry;
      this.settle(task, unreportedResult(task, attempt, "cancelled", this.unbegun, ""), commands);
    }
  }

  private dispatch(commands: RunCommand[]): void {
    if (this.mode !== "running") return;
    for (let entry = this.waiting.first; entry !== undefined; entry = this.waiting.first) {
      const chosen = this.leastLoaded(entry.attempt === this.firstAttempt);
      if (chosen === undefined || this.admitted <= 0) return;
      this.admitted--;
      const { task, attempt, failures } = this.waiting.take() as Waiting;
      chosen.load++;
      if (attempt === this.firstAttempt) chosen.share--;
      this.out.set(task.seq, { task, attempt, failures, coordinator: chosen.id });
      commands.push({ type: "dispatch", coordinator: chosen.id, task, attempt });
    }
  }

  private leastLoaded(firstAttempt: boolean): Team | undefined {
    let best: Team | undefined;
    let least = 1;
    for (let n = 0; n < this.inOrder.length; n++) {
      const team = this.inOrder[n] as Team;
      if (team.state !== "ready" || team.capacity === 0 || (firstAttempt && team.share <= 0)) continue;
      const load = team.load / team.capacity;
      if (load >= least) continue;
      best = team;
      least = load;
    }
    return best;
  }
}
