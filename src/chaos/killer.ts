/** Carries out the plan. Writes down what could be done, and to whom. */
import { openBus } from "../bus/bus.ts";
import type { Bus } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import type { Draft } from "../message/message.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import { isAlive, type ProcessIdentity, signalProcess } from "../os/process.ts";
import { SIGCONT, SIGKILL, SIGSTOP } from "../os/signals.ts";
import type { Ledger } from "./ledger.ts";
import type { Strike } from "./plan.ts";
import type { Senders } from "./senders.ts";
import type { Trial } from "./trial.ts";
import { coordinatorsOf, isOurs, type LivingAgents, type Victim } from "./victims.ts";

/** A strike as it went. */
export interface Stroke extends Strike {
  /** `none`: nobody of that kind was alive from then on. `gone`: it ended before the signal. */
  readonly outcome: "done" | "none" | "gone";
  /** Unix seconds; of the signal where there was one. */
  readonly at: number;
  readonly target: string;
  /** 0 if none. */
  readonly pid: number;
}

export interface Ground {
  readonly trial: Trial;
  readonly agents: LivingAgents;
  readonly senders: Senders;
  readonly ledger: Ledger;
}

function openIfThere(busDir: string): Bus | undefined {
  try {
    return openBus(busDir);
  } catch (error) {
    if (error instanceof CfnError) return undefined; // The run has just ended.
    throw error;
  }
}

/** A starved process runs in the second of these, of each slice. */
const STOPPED_MS = 45;
const RUNNING_MS = 5;
const FLOOD_BATCH = 256;
const FLOOD_MOST = 4096;

const nameOf = ({ pid, startTicks }: ProcessIdentity): string => `${pid} ${startTicks}`;

export class Killer {
  readonly strokes: Stroke[] = [];
  /** Killed by us: for a moment they may still look alive. */
  private readonly killed = new Set<string>();
  /** Stopped by us and not yet continued. */
  private readonly stopped = new Map<string, ProcessIdentity>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(private readonly ground: Ground) {}

  /** False if nobody of that kind is alive: to be tried again. */
  strike(strike: Strike): boolean {
    if (strike.deed === "hold") {
      const { sinks } = this.ground.ledger;
      const sink = sinks[Math.floor(strike.pick * sinks.length)] as string;
      this.ground.ledger.hold(sink, strike.forMs);
      this.note(strike, "done", { name: sink, pid: 0 });
      return true;
    }
    const victim = this.choose(strike);
    if (victim === undefined) return false;
    if (strike.deed === "flood") this.note(strike, this.flood(victim) ? "done" : "gone", victim);
    else if (!isAlive(victim) || !isOurs(victim.pid)) this.note(strike, "gone", victim);
    else this.hit(strike, victim);
    return true;
  }

  /** Writes down one that found nobody before the run had ended. */
  miss(strike: Strike): void {
    this.note(strike, "none", { name: "", pid: 0 });
  }

  /** Continues whom it stopped and forgets what was still to come. */
  end(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    for (const victim of this.stopped.values()) this.resume(victim);
  }

  private choose({ victim, pick }: Strike): Victim | undefined {
    const { trial, agents, senders } = this.ground;
    const isKilled = (one: Victim): boolean => this.killed.has(nameOf(one));
    if (victim === "agents") return agents.pick(pick, isKilled);
    const all =
      victim === "senders"
        ? senders.victims()
        : trial.master === undefined || trial.busDir === ""
          ? []
          : victim === "master"
            ? [trial.master]
            : coordinatorsOf(trial.busDir, trial.master.pid);
    const living = all.filter((one) => !isKilled(one));
    return living[Math.floor(pick * living.length)];
  }

  private hit(strike: Strike, victim: Victim): void {
    if (strike.deed === "kill") {
      if (strike.victim === "master") this.ground.trial.expectDeath();
      const at = unixSeconds();
      const done = signalProcess(victim.pid, SIGKILL);
      this.killed.add(nameOf(victim));
      this.note(strike, done ? "done" : "gone", victim, at);
      return;
    }
    this.note(strike, this.stop(victim) ? "done" : "gone", victim);
    if (strike.deed === "stop") this.later(strike.forMs, () => this.resume(victim));
    else this.slice(victim, monotonicMs() + strike.forMs);
  }

  /** Lets it run for a moment and stops it again, until the time is over. */
  private slice(victim: Victim, until: number): void {
    this.later(STOPPED_MS, () => {
      this.resume(victim);
      if (monotonicMs() >= until) return;
      this.later(RUNNING_MS, () => {
        if (isAlive(victim) && this.stop(victim)) this.slice(victim, until);
      });
    });
  }

  private stop(victim: ProcessIdentity): boolean {
    if (!signalProcess(victim.pid, SIGSTOP)) return false;
    this.stopped.set(nameOf(victim), victim);
    return true;
  }

  private resume(victim: ProcessIdentity): void {
    this.stopped.delete(nameOf(victim));
    if (isAlive(victim)) signalProcess(victim.pid, SIGCONT);
  }

  /** Sends data to it on the run's bus until nothing more is accepted: its tasks and results must still come through. */
  private flood({ name }: Victim): boolean {
    const { busDir } = this.ground.trial;
    const bus = busDir === "" ? undefined : openIfThere(busDir);
    if (bus === undefined) return false;
    const drafts = Array.from(
      { length: FLOOD_BATCH },
      (): Draft => ({ from: "chaos", to: name, type: "flood", payload: "x".repeat(100) }),
    );
    let sent = 0;
    while (sent < FLOOD_MOST && bus.sendBatch(drafts).every(({ status }) => status === "accepted")) sent += FLOOD_BATCH;
    bus.close();
    return true;
  }

  private later(ms: number, what: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      what();
    }, ms);
    this.timers.add(timer);
  }

  private note(
    strike: Strike,
    outcome: Stroke["outcome"],
    { name, pid }: Pick<Victim, "name" | "pid">,
    at = unixSeconds(),
  ): void {
    this.strokes.push({ ...strike, outcome, at, target: name, pid });
  }
}
