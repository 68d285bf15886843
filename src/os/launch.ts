/**
 * Starting many programs. `posix_spawn` returns when the child has executed, which takes longer than all bookkeeping of an
 * agent; a process that alone hosts a swarm lets a second thread wait for that (`launchthread.ts`) and keeps its books
 * meanwhile. It fills frames (`SpawnFrame`), the thread makes the calls, in order: a ring in shared memory.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";
import { monotonicMs, unixSeconds } from "./clock.ts";
import { threadModule } from "./executable.ts";
import { FRAMES, frameAt, RING_BYTES, type RingMessage, W } from "./launchring.ts";
import { pointerTo } from "./libc.ts";
import { type Births, expectBirths, listenForExits, reapHandful } from "./reap.ts";
import { type Spawned, SpawnFrame, type SpawnRequest, spawnProgram } from "./spawn.ts";

/** What became of it, and when that was (Unix milliseconds). Watch the pid in the same turn of the loop. */
type OnSpawned = (spawned: Spawned, unixMs: number) => void;

export interface Launcher {
  /**
   * Starts a program. `onSpawned` is called once, at once or later. The function returned takes the request back: true if
   * nothing had been done for it yet, and then `onSpawned` is never called.
   */
  launch(request: SpawnRequest, onSpawned: OnSpawned): () => boolean;
  /** Only when every launch has been answered. */
  close(): void;
}

const tooLate = (): boolean => false;

/** Starts programs in this thread, one after the other. */
export const launchHere: Launcher = {
  launch: (request, onSpawned) => {
    const unixMs = unixSeconds() * 1000;
    onSpawned(spawnProgram(request), unixMs);
    return tooLate;
  },
  close: () => undefined,
};

interface Launch {
  readonly request: SpawnRequest;
  readonly onSpawned: OnSpawned;
}

/** How long a turn of the event loop starts programs. */
const SLICE_MS = 10;

/**
 * Starts programs in this thread, a few in each turn of the event loop: on a machine full of processes each start takes long, and
 * what comes meanwhile, to stop them all above all, must not wait for the last.
 */
export class LaunchInTurns implements Launcher {
  readonly #waiting = new Set<Launch>();
  /** A turn has begun: it starts no more after this. */
  #until: number | undefined;

  launch(request: SpawnRequest, onSpawned: OnSpawned): () => boolean {
    const launch = { request, onSpawned };
    if (this.#until === undefined) this.#begin();
    if (this.#waiting.size === 0 && monotonicMs() < (this.#until as number))
      return launchHere.launch(request, onSpawned);
    this.#waiting.add(launch);
    return () => this.#waiting.delete(launch);
  }

  close(): void {
    assert(this.#waiting.size === 0, "a launcher is closed when every launch has been answered");
  }

  #begin(): void {
    this.#until = monotonicMs() + SLICE_MS;
    setImmediate(() => this.#go());
  }

  #go(): void {
    this.#until = undefined;
    if (this.#waiting.size === 0) return;
    this.#begin();
    for (const launch of this.#waiting) {
      this.#waiting.delete(launch);
      launchHere.launch(launch.request, launch.onSpawned);
      if (monotonicMs() >= (this.#until as unknown as number)) return;
    }
  }
}

/** Starts programs in a thread of their own. One at a time in a process: exits are told by `reap.ts`, which asks it. */
export class LaunchThread implements Launcher, Births {
  readonly #waiting = new Set<Launch>();
  readonly #ring = new SharedArrayBuffer(RING_BYTES);
  readonly #words = new Int32Array(this.#ring);
  readonly #numbers = new Float64Array(this.#ring);
  readonly #frames = Array.from({ length: FRAMES }, () => new SpawnFrame());
  readonly #underWay = new Array<Launch | undefined>(FRAMES).fill(undefined);
  readonly #thread: Worker;
  #failed = false;
  #begun = 0;
  #told = 0;
  #doubt: { readonly pid: number; readonly until: number } | undefined;

  /** `module` is for tests: one that cannot be loaded. */
  constructor(module = threadModule("launchthread")) {
    listenForExits();
    expectBirths(this);
    this.#thread = new Worker(module, { smol: true });
    this.#thread.onmessage = () => this.#look();
    this.#thread.onerror = (event) => {
      event.preventDefault();
      this.#doWithout();
    };
    this.#thread.postMessage({ ring: this.#ring, address: pointerTo(this.#words) } satisfies RingMessage);
    this.#thread.unref();
  }

  launch(request: SpawnRequest, onSpawned: OnSpawned): () => boolean {
    if (this.#failed) return launchHere.launch(request, onSpawned);
    const launch = { request, onSpawned };
    this.#waiting.add(launch);
    this.#pump();
    return () => this.#waiting.delete(launch);
  }

  close(): void {
    assert(this.#waiting.size === 0 && this.#begun === this.#told, "a launcher is closed when nothing is under way");
    expectBirths(undefined);
    Atomics.store(this.#words, W.closed, 1);
    this.#submit();
  }

  tell(): void {
    while (this.#told !== Atomics.load(this.#words, W.done)) {
      const n = this.#told % FRAMES;
      const { request, onSpawned } = this.#underWay[n] as Launch;
      this.#underWay[n] = undefined;
      (this.#frames[n] as SpawnFrame).release();
      const pid = this.#words[frameAt(n) + W.outcome] as number;
      const unixMs = this.#numbers[(frameAt(n) + W.unixMs) / 2] as number;
      this.#told++;
      if (this.#doubt?.pid === pid) this.#doubt = undefined;
      // Trying again here finds out why it cannot be started, and says that.
      onSpawned(pid > 0 ? { status: "started", pid } : spawnProgram(request), unixMs);
    }
  }

  mayBear(pid: number): boolean {
    if (this.#doubt?.pid !== pid) this.#doubt = { pid, until: this.#begun };
    if (this.#told < this.#doubt.until) return true;
    this.#doubt = undefined;
    return false;
  }

  get busy(): boolean {
    return Atomics.load(this.#words, W.submitted) - Atomics.load(this.#words, W.done) > FRAMES / 2;
  }

  /** The thread did not start, which is the only way it can fail: programs are started here, as if there had been none. */
  #doWithout(): void {
    this.#failed = true;
    const launches = [...this.#underWay.filter((launch) => launch !== undefined), ...this.#waiting];
    for (; this.#told < this.#begun; this.#told++) this.#frames[this.#told % FRAMES]?.release();
    this.#underWay.fill(undefined);
    this.#waiting.clear();
    expectBirths(undefined);
    for (const { request, onSpawned } of launches) launchHere.launch(request, onSpawned);
    reapHandful();
  }

  #look(): void {
    this.#pump();
    reapHandful();
  }

  #pump(): void {
    this.tell();
    for (const launch of this.#waiting) {
      if (this.#begun - this.#told === FRAMES) return;
      this.#waiting.delete(launch);
      this.#begin(launch);
    }
  }

  #begin(launch: Launch): void {
    const n = this.#begun % FRAMES;
    const frame = this.#frames[n] as SpawnFrame;
    const refusal = frame.fill(launch.request);
    if (refusal !== undefined) {
      launch.onSpawned(refusal, unixSeconds() * 1000);
      return;
    }
    globalThis.crashPoint?.("spawn.filled");
    this.#underWay[n] = launch;
    const { program, actions, attributes, argv, environment } = frame;
    this.#numbers.set([program, actions, attributes, argv, environment], (frameAt(n) + W.addresses) / 2);
    this.#begun++;
    this.#submit();
    globalThis.crashPoint?.("spawn.submitted");
  }

  #submit(): void {
    Atomics.add(this.#words, W.submitted, 1);
    Atomics.notify(this.#words, W.submitted);
  }
}

/** Starts the first few programs in turns, and has a thread for the others: one costs as much as some dozen starts. */
export class LaunchByNumber implements Launcher {
  readonly #few = new LaunchInTurns();
  #many: LaunchThread | undefined;
  #left: number = limits.launchesWithoutThread;

  /** `expected`: how many there will be as soon as it is open. */
  constructor(expected: number) {
    if (expected > this.#left) this.#many = new LaunchThread();
  }

  launch(request: SpawnRequest, onSpawned: OnSpawned): () => boolean {
    if (this.#many === undefined && this.#left-- > 0) return this.#few.launch(request, onSpawned);
    this.#many ??= new LaunchThread();
    return this.#many.launch(request, onSpawned);
  }

  close(): void {
    this.#few.close();
    this.#many?.close();
  }
}
