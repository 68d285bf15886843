/**
 * One schedule: a bus with a past, two to four processes on it, their turns and their misfortunes, the aftermath, the verdict.
 * All of it follows from the seed and the schedule's number.
 */
import { settle } from "./aftermath.ts";
import { compile, type Program, scaled, type WovenBus } from "./bundle.ts";
import { checkHistory, type Happening } from "./history.ts";
import { type Counters, type Image, Kernel, type Process } from "./kernel.ts";
import { type Actor, BUS, ids, Life, leanings, live, type Stage } from "./scenario.ts";
import type { Steps } from "./steps.ts";

const SEGMENT = 1024;
/** More than any healthy schedule takes, many times over. */
const MOST_STEPS = 300_000;
/** Buses with a past are made once and copied. */
const PASTS = 256;
const LAST = 5;
const bounds = { data: scaled.inboxMessages, control: scaled.controlMessages };

export interface Verdict {
  readonly schedule: number;
  /** Empty where nothing is wrong. */
  readonly wrong: readonly string[];
  readonly steps: number;
  /** Of all turns: two runs of one schedule have the same. */
  readonly hash: number;
  readonly history: readonly Happening[];
}

interface Past {
  readonly image: Image;
  readonly history: readonly Happening[];
  readonly messages: number;
  readonly leases: number;
}

/** Whether the checker must know of it after its process is dead. */
const tells = (one: Happening): boolean =>
  one.kind === "received" ? one.messages.length > 0 : one.kind !== "acking" && one.kind !== "released";

/** A seed of its own for each schedule. */
function mixed(seed: number, number: number): number {
  let word = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35);
  word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d);
  return (word ^ (word >>> 13)) >>> 0;
}

export class Simulator {
  private readonly kernel = new Kernel();
  private readonly programs: Program[] = [];
  private readonly pasts = new Map<number, Past>();
  private stage: Stage;
  /** Called at each turn, where somebody wants to watch. */
  onTurn: ((text: string) => void) | undefined;

  constructor(
    text: string,
    private readonly seed: number,
  ) {
    const code = compile(text);
    for (let number = 0; number <= LAST; number++) this.programs.push(code(this.kernel, 100 + number));
    this.stage = { kernel: this.kernel, history: [], messages: 0, leases: 0, calls: 0 };
    this.kernel.onDeath = (process) =>
      this.stage.history.push({ at: this.kernel.steps, process: process.pid, kind: "died" });
  }

  /** How often each thing happened since this was asked last. */
  takeCounters(): Counters {
    const counters = this.kernel.n;
    this.kernel.n = {};
    return counters;
  }

  private actor(number: number, operations: number): Actor {
    const { kernel } = this;
    const leaning = leanings[kernel.below(leanings.length)] as Actor["leaning"];
    const lastSequence = new Map(ids.map((id) => [id as string, 0 as number | undefined]));
    const program = this.programs[number] as Program;
    return { number, program, leaning, operations, lastSequence, pending: new Map() };
  }

  private past(number: number): Past {
    let past = this.pasts.get(number);
    if (past === undefined) {
      past = this.makePast(number);
      this.pasts.set(number, past);
    }
    return past;
  }

  /** A bus on which one process has registered agents, sent, received; by now it is dead. */
  private makePast(number: number): Past {
    const { kernel } = this;
    const program = this.programs[0] as Program;
    kernel.reset(mixed(this.seed, -1 - number));
    this.stage = { kernel, history: [], messages: 0, leases: 0, calls: 0 };
    kernel.create("/base", "directory");
    const shards = kernel.below(4) === 0 ? 2 : 1;
    const segments = [3, 5, 8, 10, 14][kernel.below(5)] as number;
    const actor = this.actor(0, 0);
    // Long pasts leave full buses, where old messages are moved.
    const amount = [0, 10, 20, 50, 50][kernel.below(5)] as number;
    const before = function* (this: Simulator): Steps<void> {
      yield* program.createBus(BUS, { shards, busBytes: shards * segments * SEGMENT });
      kernel.broken = [];
      const life = new Life(this.stage, actor);
      for (const id of ids.slice(0, 2 + kernel.below(3))) yield* life.host(id);
      for (let n = kernel.below(amount + 1); n < amount; n++) {
        if (kernel.below(6) === 0) yield* life.drain(kernel.below(3) === 0 ? "b" : "a");
        else yield* life.send(1 + (kernel.below(3) === 0 ? 2 : 0));
      }
    };
    this.runAlone(kernel.start(100, 0, before.call(this)));
    const { history, messages, leases } = this.stage;
    return { image: kernel.image(), history: history.filter(tells), messages, leases };
  }

  /** Runs a process to its end, with nobody else there. */
  private runAlone(process: Process): void {
    const { kernel } = this;
    kernel.current = process;
    kernel.left = Number.POSITIVE_INFINITY;
    while (process.program.next().done !== true) kernel.now = Math.max(kernel.now, process.wakeAt);
    kernel.end(process);
  }

  run(schedule: number): Verdict {
    const { kernel } = this;
    const seed = mixed(this.seed, schedule);
    kernel.reset(seed);
    let past: Past;
    try {
      past = this.past(kernel.below(PASTS));
    } catch (error) {
      const wrong = [`making the bus throws ${error instanceof Error ? error.stack : String(error)}`];
      return { schedule, wrong, steps: kernel.steps, hash: 0, history: this.stage.history };
    }
    kernel.reset(seed, past.image);
    this.stage = { kernel, history: [...past.history], messages: past.messages, leases: past.leases, calls: 1e6 };
    const wrong: string[] = [];
    const turns = new Turns(kernel, this.stage, wrong, this.onTurn, (this.programs[0] as Program).layout.H.pairsNumber);
    const amount = [2, 2, 2, 2, 2, 3, 3, 4][kernel.below(8)] as number;
    for (let number = 1; number <= amount; number++) turns.add(this.actor(number, 1 + kernel.below(4)));
    turns.run();
    wrong.push(...this.end());
    wrong.push(...new Set(kernel.broken), ...checkHistory(this.stage.history, bounds));
    return { schedule, wrong, steps: kernel.steps, hash: turns.hash, history: this.stage.history };
  }

  private end(): string[] {
    const { kernel, stage } = this;
    for (const kind of ["space", "descriptors", "memory"] as const) kernel.odds[kind] = 0;
    for (const process of [...kernel.processes]) kernel.end(process);
    const actor = this.actor(LAST, 0);
    const wrong: string[] = [];
    const whole = function* (): Steps<void> {
      const life = new Life(stage, actor);
      const bus = (life as unknown as { bus: WovenBus }).bus;
      wrong.push(...(yield* settle(kernel, actor.program, life, bus)));
      stage.history.push({ at: kernel.steps, process: 100 + LAST, kind: "drained" });
    };
    try {
      this.runAlone(kernel.start(100 + LAST, 1, whole()));
    } catch (error) {
      wrong.push(`the aftermath throws ${error instanceof Error ? error.stack : String(error)}`);
    }
    return wrong;
  }
}

/** Who runs when, and what befalls whom. */
class Turns {
  hash = 0x811c9dc5;
  private readonly actors = new Map<number, Actor>();
  /** Turns last 1 to `length` points. */
  private readonly length: number;
  /** Deaths follow closely upon each other: in a repair, and in the repair of that. */
  private readonly isHarried: boolean;
  private faults: number;
  private nextFault: number;

  constructor(
    private readonly kernel: Kernel,
    private readonly stage: Stage,
    private readonly wrong: string[],
    private readonly onTurn: ((text: string) => void) | undefined,
    /** Word of the index's header that names the table of pairs. */
    private readonly pairsNumber: number,
  ) {
    this.length = [1, 6, 20, 60, 200, 800][kernel.below(6)] as number;
    this.isHarried = kernel.below(4) === 0;
    this.faults = this.isHarried ? 10 : kernel.below(5);
    this.nextFault = this.faultAt();
    kernel.onRare = (name) => {
      if (name === "sweepBells") {
        // The records have been read: a good moment for others to write some.
        if (kernel.below(2) === 0) kernel.left = Math.min(kernel.left, 1 + kernel.below(4));
        return;
      }
      // Few come to these, and fewer to a second death in them.
      const isRarest = name === "erase" || name === "allocateSlot" || name === "moveRecord";
      if (this.faults === 0 || kernel.below(isRarest ? 2 : 4) !== 0) return;
      // A move takes longer, and is halfway only near its end.
      const within = name === "moveRecord" ? 40 : kernel.below(2) === 0 ? 4 : 20;
      this.nextFault = Math.min(this.nextFault, kernel.steps + 1 + kernel.below(within));
      kernel.left = Math.min(kernel.left, this.nextFault - kernel.steps);
    };
    if (kernel.below(4) === 0) kernel.odds.space = [3, 10, 40][kernel.below(3)] as number;
    if (kernel.below(12) === 0) kernel.odds.descriptors = [20, 60][kernel.below(2)] as number;
    if (kernel.below(12) === 0) kernel.odds.memory = [20, 60][kernel.below(2)] as number;
  }

  add(actor: Actor): void {
    const pid = 100 + actor.number;
    this.actors.set(pid, actor);
    this.kernel.start(pid, 1, live(this.stage, actor));
  }

  /** Gaps between faults are of every order of magnitude: one in the repair of another must come soon after it. */
  private faultAt(): number {
    const { kernel } = this;
    if (this.faults === 0) return Number.POSITIVE_INFINITY;
    const order = 2 ** kernel.below(this.isHarried ? 8 : 11);
    return kernel.steps + 1 + kernel.below(order);
  }

  run(): void {
    const { kernel } = this;
    while (kernel.processes.length > 0) {
      const process = this.pick();
      if (process === undefined) continue;
      kernel.current = process;
      const from = kernel.steps;
      kernel.left = Math.min(1 + kernel.below(this.length), Math.max(1, this.nextFault - from));
      let over = false;
      try {
        over = process.program.next().done === true;
      } catch (error) {
        this.wrong.push(`process ${process.pid} throws ${error instanceof Error ? error.stack : String(error)}`);
        over = true;
      }
      kernel.now += (kernel.steps - from) / 1000;
      this.hash = Math.imul(this.hash ^ (process.pid * 1_000_003 + kernel.steps), 0x01000193) >>> 0;
      this.onTurn?.(`${from}-${kernel.steps} process ${process.pid}${over ? " ends" : ""}`);
      if (over) kernel.end(process);
      else if (kernel.steps >= this.nextFault && process.state === "R") this.befall(process);
      if (kernel.steps > MOST_STEPS) {
        this.wrong.push(`it does not end within ${MOST_STEPS} steps`);
        return;
      }
    }
  }

  private pick(): Process | undefined {
    const { kernel } = this;
    const all = kernel.processes;
    const first = kernel.below(all.length);
    let waiting: Process | undefined;
    let sleeping: Process | undefined;
    let stopped: Process | undefined;
    for (let n = 0; n < all.length; n++) {
      const process = all[(first + n) % all.length] as Process;
      if (process.state === "T") stopped ??= process;
      else if (process.wakeAt > kernel.now && process.bell?.rung !== true) {
        if (sleeping === undefined || process.wakeAt < sleeping.wakeAt) sleeping = process;
      } else if (process.wants?.exclusive !== undefined) waiting ??= process;
      else return this.awake(process);
    }
    if (stopped?.stubborn === false && kernel.below(64) === 0) return this.resume(stopped);
    if (waiting !== undefined) return this.awake(waiting);
    if (sleeping !== undefined) {
      kernel.now = Math.max(kernel.now, sleeping.wakeAt);
      return this.awake(sleeping);
    }
    return stopped && this.resume(stopped);
  }

  private awake(process: Process): Process {
    process.wakeAt = 0;
    process.bell = undefined;
    process.wants = undefined;
    return process;
  }

  private resume(process: Process): undefined {
    process.state = "R";
    process.stubborn = false;
    this.kernel.count("resumed");
    return undefined;
  }

  /** Whenever a process dies, the table of pairs that the header names is there: without it sent messages are forgotten. */
  private lookForPairs(): void {
    const { files } = this.kernel;
    for (const [path, { memory }] of files) {
      if (!path.endsWith("/index")) continue;
      const number = new Uint32Array(memory.buffer)[this.pairsNumber];
      if (number !== 0 && !files.has(path.replace(/index$/, `pairs-${number}`)))
        this.wrong.push(`${path} names the table of pairs ${number}, which is gone`);
    }
  }

  private befall(process: Process): void {
    const { kernel } = this;
    const inLock = kernel.holdsLock(process);
    if (this.isHarried || kernel.below(5) < 3) {
      kernel.count(inLock ? "killed holding the lock" : "killed");
      this.onTurn?.(`${kernel.steps} process ${process.pid} is killed`);
      kernel.end(process);
      this.lookForPairs();
      const actor = this.actors.get(process.pid) as Actor;
      if (this.isHarried || kernel.below(3) !== 0)
        kernel.start(process.pid, process.startTicks + 1, live(this.stage, actor));
    } else {
      kernel.count(inLock ? "stopped holding the lock" : "stopped");
      this.onTurn?.(`${kernel.steps} process ${process.pid} is stopped`);
      process.state = "T";
      process.stubborn = kernel.below(2) === 0;
    }
    this.faults--;
    this.nextFault = this.faultAt();
  }
}
