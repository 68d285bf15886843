/**
 * Whether an agent, or whoever hosts agents, is well. Pure.
 *
 * Death is a fact: the kernel says that the process is gone, or that a signal has ended it. Anything else is a judgement on two
 * signs, the beat of the host's loop and the agent's progress (CPU time or output). One sign missing makes it `degraded`, both
 * of them `unhealthy`. A process that the kernel says is stopped gives neither: it is `degraded` at once and `unhealthy` when it is
 * proven to have been stopped for so long, without a moment in between in which it ran.
 */
import type { RosterEntry } from "../bus/roster.ts";

export const healthStates = ["healthy", "degraded", "unhealthy", "dead"] as const;
export type HealthState = (typeof healthStates)[number];

export interface Health {
  readonly state: HealthState;
  /** For people; says what is seen, also where all is well. */
  readonly reason: string;
}

export interface Thresholds {
  readonly stoppedAfterMs: number;
  readonly stalledAfterMs: number;
  /** A beat is a sign that is missing once it is so old, */
  readonly beatLateMs: number;
  /** and of a host alone reason enough when it is so old. */
  readonly hungAfterMs: number;
}

/** A process whose loop writes beats: the master, a coordinator, `cfn agent`. */
export interface HostFacts {
  readonly id: string;
  readonly pid: number;
  /** False if the kernel has no such process; where it cannot be asked (another pid namespace), it is taken for alive. */
  readonly alive: boolean;
  readonly stopped: boolean;
  /** Milliseconds since its loop turned. */
  readonly beatAgeMs: number;
  /** Its run ends, and it with it. */
  readonly leaving: boolean;
}

/** What the observer itself saw of an agent's process; undefined where it did not look. */
export type ProcessFacts =
  | { readonly seen: "gone" }
  /** `endedBy` is the signal, 0 if it ended by itself. */
  | { readonly seen: "ended"; readonly endedBy: number }
  /** `unmoved`: it has not run since its host looked at it last. */
  | { readonly seen: "stopped"; readonly unmoved: boolean }
  /** `progress`: CPU time or output since then. */
  | { readonly seen: "there"; readonly progress: boolean };

export interface AgentFacts {
  /** Undefined for a seat that has had no task. */
  readonly entry: RosterEntry | undefined;
  readonly process: ProcessFacts | undefined;
  readonly host: HostFacts;
}

const healthy = (reason: string): Health => ({ state: "healthy", reason });
const degraded = (reason: string): Health => ({ state: "degraded", reason });
const unhealthy = (reason: string): Health => ({ state: "unhealthy", reason });
const dead = (reason: string): Health => ({ state: "dead", reason });

/** "0.4 s", "12 s", "5 min". */
export function spanText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 120 ? `${Math.floor(seconds)} s` : `${Math.floor(seconds / 60)} min`;
}

/** A sign alone: nobody is accused for it. */
function missedBeat({ id, alive, stopped, beatAgeMs, leaving }: HostFacts, { beatLateMs }: Thresholds) {
  if (leaving) return undefined;
  if (!alive) return `its host ${id} is gone`;
  if (stopped) return `its host ${id} is stopped`;
  return beatAgeMs >= beatLateMs ? `no beat of its host ${id} for ${spanText(beatAgeMs)}` : undefined;
}

export function judgeHost(host: HostFacts, thresholds: Thresholds): Health {
  const { pid, alive, stopped, beatAgeMs, leaving } = host;
  const { stoppedAfterMs, beatLateMs, hungAfterMs } = thresholds;
  const age = spanText(beatAgeMs);
  if (leaving) return healthy("ends with its run");
  if (!alive) return dead(`process ${pid} is gone`);
  if (stopped) return (beatAgeMs >= stoppedAfterMs ? unhealthy : degraded)(`stopped, no beat for ${age}`);
  if (beatAgeMs >= hungAfterMs) return unhealthy(`hangs: its loop has not turned for ${age}`);
  return beatAgeMs >= beatLateMs ? degraded(`its loop has not turned for ${age}`) : healthy("its loop turns");
}

/** `now` is ms of the machine's clock, read before any of the facts: so nothing is taken for older than it is. */
export function judgeAgent({ entry, process, host }: AgentFacts, thresholds: Thresholds, now: number): Health {
  const missed = missedBeat(host, thresholds);
  if (entry === undefined) return missed === undefined ? healthy("idle") : degraded(missed);
  if (entry.state === "launching") return missed === undefined ? healthy("is being started") : degraded(missed);
  if (entry.state === "ended") {
    // Whoever ended by itself, or was ended by its run, has done so in order: what came of its task is the report's business.
    if (entry.reason === "signalled") return dead(`killed by signal ${entry.signal}`);
    return missed === undefined
      ? healthy(`idle, its last task ${entry.reason.replaceAll("_", " ")}`)
      : degraded(missed);
  }
  if (process?.seen === "gone") return dead(`process ${entry.pid} is gone`);
  if (process?.seen === "ended") {
    if (process.endedBy > 0) return dead(`killed by signal ${process.endedBy}`);
    return missed === undefined ? healthy("has just ended") : degraded(missed);
  }
  return judgeRunning(entry, process, missed, thresholds, now);
}

function judgeRunning(
  { sample }: RosterEntry,
  process: Extract<ProcessFacts, { seen: "stopped" | "there" }> | undefined,
  missed: string | undefined,
  { stoppedAfterMs, stalledAfterMs }: Thresholds,
  now: number,
): Health {
  const since = sample?.stoppedSince;
  // Without a look of our own the host's last one counts, up to when it was.
  if (process === undefined ? since !== undefined : process.seen === "stopped") {
    const until = process?.seen === "stopped" && process.unmoved ? now : (sample?.at ?? now);
    const stoppedMs = since === undefined ? 0 : until - since;
    return stoppedMs >= stoppedAfterMs ? unhealthy(`stopped for ${spanText(stoppedMs)}`) : degraded("stopped");
  }
  const progresses = process?.seen === "there" && process.progress;
  const stillMs = sample === undefined || progresses ? 0 : now - sample.progressAt;
  const stalled = stillMs >= stalledAfterMs ? `neither CPU time nor output for ${spanText(stillMs)}` : undefined;
  if (stalled !== undefined && missed !== undefined) return unhealthy(`${stalled}, and ${missed}`);
  if (stalled !== undefined) return degraded(stalled);
  return missed === undefined ? healthy("at work") : degraded(`${missed}; the agent is there`);
}

/** The worst of them, where there are any. */
export function worstOf(all: readonly Health[]): HealthState {
  const ranks = all.map(({ state }) => healthStates.indexOf(state));
  return healthStates[Math.max(0, ...ranks)] as HealthState;
}
