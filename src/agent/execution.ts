/**
 * One command from its start to its end: started, again later where the machine is out of processes; ended at its timeout
 * or on demand, first by TERM to its whole group, then by KILL; what it leaves in its group is killed with it.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import type { Launcher } from "../os/launch.ts";
import { adoptChild, type Exit, watchChild } from "../os/reap.ts";
import { SIGCONT, SIGKILL, SIGTERM } from "../os/signals.ts";
import type { Spawned, SpawnRequest } from "../os/spawn.ts";
import type { Deadlines, Due } from "./deadlines.ts";
import { cancelledBeforeStart, type EndCause, type Ending, endingOf, notStarted } from "./ending.ts";

/** What is to be started, and by whom. */
export interface Start {
  readonly spawn: SpawnRequest;
  readonly launcher: Launcher;
  readonly onStart: (pid: number, startedAt: number) => void;
}

export interface ExecutionRequest {
  readonly timeoutMs?: number;
  readonly killGraceMs: number;
  readonly deadlines: Deadlines;
  /** Sends a signal to all of it: its group, or what else it consists of. */
  readonly signalAll: (pid: number, signal: number) => void;
  /** Once, never from within `begin`. */
  readonly onEnd: (ending: Ending, times: Times) => void;
}

export interface Times {
  /** Unix seconds with decimals. */
  readonly startedAt: number;
  readonly runTimeMs: number;
}

/**
 * What its deadline means: another try to start (`waiting`), TERM (`running`), KILL (`terminating`), or nothing.
 * `launching`: handed to the launcher, which has not answered.
 */
type Phase = "new" | "waiting" | "launching" | "running" | "terminating" | "killing" | "ended";

export class Execution implements Due {
  readonly #request: ExecutionRequest;
  #phase: Phase = "new";
  #pid = 0;
  #tries = 0;
  #startedAt = 0;
  #startedMs = 0;
  #killAfterMs: number;
  #withdraw: () => boolean = () => false;
  #start: Start | undefined;
  #cause: { readonly why: EndCause; readonly detail: string } | undefined;

  readonly #onExit = (exit: Exit): void => this.#finish(endingOf(exit, this.#cause));

  constructor(request: ExecutionRequest) {
    this.#request = request;
    this.#killAfterMs = request.killGraceMs;
  }

  /** 0 before it has started. */
  get pid(): number {
    return this.#pid;
  }

  /** It has started, and its end is not known yet. */
  get runs(): boolean {
    return this.#phase === "running" || this.#phase === "terminating" || this.#phase === "killing";
  }

  /** Starts it, or arranges that it is tried again. */
  begin(start: Start): void {
    assert(this.#phase === "new", "an execution begins once");
    this.#start = start;
    this.#launch();
  }

  /**
   * Takes over a process that a host which has died had started, at `startedAt` (Unix seconds): from here on it is as if this
   * one had. False if it is no child of this process and its exit is not known.
   */
  adopt(pid: number, startedAt: number): boolean {
    assert(this.#phase === "new", "an execution begins once");
    const { timeoutMs, deadlines } = this.#request;
    const ranMs = Math.max(0, (unixSeconds() - startedAt) * 1000);
    this.#startedAt = startedAt;
    this.#startedMs = monotonicMs() - ranMs;
    this.#pid = pid;
    this.#phase = "running";
    if (!adoptChild(pid, this.#onExit)) {
      this.#phase = "ended";
      return false;
    }
    if (timeoutMs !== undefined) deadlines.set(this, Math.max(0, timeoutMs - ranMs));
    return true;
  }

  /** TERM now, KILL after the grace; KILL at once where that is 0. The first cause counts, a shorter grace always. */
  end(why: EndCause, detail: string, graceMs = this.#killAfterMs): void {
    if (this.#phase === "ended" || this.#phase === "killing") return;
    this.#cause ??= { why, detail };
    if (this.#phase === "waiting" || (this.#phase === "launching" && this.#withdraw())) {
      this.#finish(why === "cancelled" ? cancelledBeforeStart() : notStarted("busy", detail));
      return;
    }
    const sooner = graceMs < this.#killAfterMs;
    this.#killAfterMs = Math.min(graceMs, this.#killAfterMs);
    if (this.#phase === "launching") return; // Ended when it has started.
    if (this.#killAfterMs === 0) this.#kill();
    else if (this.#phase === "running") this.#terminate();
    else if (sooner) this.#request.deadlines.set(this, this.#killAfterMs);
  }

  /**
   * Hands on a signal that this process was sent; with `thenKillMs`, what is left so much later is killed. The ending is the
   * command's own: it may well end in order, with 0.
   */
  relay(signal: number, thenKillMs?: number): void {
    if (this.#phase !== "running" && this.#phase !== "terminating") return;
    this.#request.signalAll(this.#pid, signal);
    if (thenKillMs === undefined || this.#phase === "terminating") return;
    this.#phase = "terminating";
    this.#request.deadlines.set(this, thenKillMs);
  }

  due(): void {
    if (this.#phase === "waiting") this.#launch();
    else if (this.#phase === "running") this.end("timed_out", `not done within ${this.#request.timeoutMs} ms`);
    else if (this.#phase === "terminating") this.#kill();
  }

  #launch(): void {
    this.#tries++;
    this.#phase = "launching";
    const { launcher, spawn } = this.#start as Start;
    this.#withdraw = launcher.launch(spawn, (spawned, unixMs) => {
      this.#startedAt = unixMs / 1000;
      this.#startedMs = monotonicMs() - (unixSeconds() * 1000 - unixMs);
      this.#launched(spawned);
    });
  }

  #launched(spawned: Spawned): void {
    if (spawned.status === "started") this.#run(spawned.pid);
    else if (spawned.status === "busy" && this.#tries < limits.spawnTries && this.#cause === undefined) {
      this.#phase = "waiting";
      const backoffMs = Math.min(limits.spawnBackoffMs * 2 ** (this.#tries - 1), limits.spawnBackoffMsMax);
      this.#request.deadlines.set(this, backoffMs);
    } else {
      const tries = spawned.status === "busy" ? ` (tried ${this.#tries} times)` : "";
      const ending = notStarted(spawned.status, spawned.detail + tries);
      // The caller hears of its end after `begin` has returned, as with every other end.
      queueMicrotask(() => this.#finish(ending));
    }
  }

  #run(pid: number): void {
    const { timeoutMs, deadlines } = this.#request;
    const { onStart, spawn } = this.#start as Start;
    this.#pid = pid;
    this.#phase = "running";
    if (timeoutMs !== undefined) deadlines.set(this, timeoutMs);
    watchChild(pid, this.#onExit, spawn.group !== "inherit");
    globalThis.crashPoint?.("spawn.watched");
    onStart(pid, this.#startedAt);
    if (this.#cause === undefined) return;
    // It was ended while it was being started.
    if (this.#killAfterMs === 0) this.#kill();
    else this.#terminate();
  }

  #terminate(): void {
    this.#phase = "terminating";
    this.#request.signalAll(this.#pid, SIGTERM);
    // A stopped process takes the signal only when it continues.
    this.#request.signalAll(this.#pid, SIGCONT);
    this.#request.deadlines.set(this, this.#killAfterMs);
  }

  #kill(): void {
    this.#phase = "killing";
    this.#request.deadlines.clear(this);
    this.#request.signalAll(this.#pid, SIGKILL);
  }

  #finish(ending: Ending): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#request.deadlines.clear(this);
    const runTimeMs = this.#startedAt === 0 ? 0 : monotonicMs() - this.#startedMs;
    this.#request.onEnd(ending, { startedAt: this.#startedAt, runTimeMs });
  }
}
