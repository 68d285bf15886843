/** How long it took until what was killed had been made good. Pure. */
import type { Deed, VictimKind } from "./plan.ts";

export interface Quantile {
  readonly count: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** Of which no recovery was written down: the run ended first, or its master was killed and forgot. */
  readonly unmeasured: number;
}

export interface Recovery {
  /** From SIGKILL until its team had been taken over, by the run's report. */
  readonly coordinators: Quantile;
  /** The same from SIGSTOP; those that were continued before anybody took over are not counted. */
  readonly hung_coordinators: Quantile;
  /** From SIGKILL to the start of the task's next attempt, by the agent's own evidence (to 10 ms). */
  readonly agents: Quantile;
  /** From SIGKILL to the first agent that the resumed run started. */
  readonly master: Quantile;
}

/** A strike that was carried out. */
export interface Struck {
  readonly victim: VictimKind;
  readonly deed: Deed;
  /** A coordinator's id, a task's, a sender's. */
  readonly target: string;
  /** Unix seconds. */
  readonly at: number;
}

/** Of the run's report. */
export interface CoordinatorEnd {
  readonly coordinator: string;
  readonly cause: string;
  readonly at: number;
}

/** When an attempt of a task began, Unix seconds. */
export interface Begun {
  readonly taskId: string;
  readonly at: number;
}

/** Clocks of two processes and ticks of 10 ms: a recovery may seem to come a little before its cause. */
const SLACK_SECONDS = 0.02;

export function quantiles(samplesMs: readonly number[], unmeasured: number): Quantile {
  const sorted = [...samplesMs].sort((one, other) => one - other);
  const at = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return Math.round(value * 10) / 10;
  };
  return { count: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1), unmeasured };
}

/**
 * For each strike the first answer after it. One that comes only after the next strike at the same target, or after one of
 * `forgets`, answers that: there is none.
 */
function match(
  strikes: readonly Struck[],
  answers: readonly { readonly key: string; readonly at: number }[],
  forgets: readonly number[],
): number[] {
  const byKey = new Map<string, number[]>();
  for (const { key, at } of answers) byKey.set(key, [...(byKey.get(key) ?? []), at]);
  return strikes.flatMap(({ target, at }) => {
    const next = strikes.flatMap((other) => (other.target === target && other.at > at ? [other.at] : []));
    const until = Math.min(...next, ...forgets.filter((moment) => moment > at));
    const after = (byKey.get(target) ?? []).filter((answer) => answer >= at - SLACK_SECONDS && answer < until);
    return after.length === 0 ? [] : [Math.max(0, (Math.min(...after) - at) * 1000)];
  });
}

/** What comes later than this has another cause. */
const FOLLOWS_WITHIN_MS = 60_000;

function measured(
  strikes: readonly Struck[],
  answers: readonly { readonly key: string; readonly at: number }[],
  forgets: readonly number[] = [],
): Quantile {
  const samples = match(strikes, answers, forgets).filter((ms) => ms <= FOLLOWS_WITHIN_MS);
  return quantiles(samples, strikes.length - samples.length);
}

/** `resumed`: when the run was started again, Unix seconds, one after the other. */
export function measureRecovery(
  struck: readonly Struck[],
  failovers: readonly CoordinatorEnd[],
  begun: readonly Begun[],
  resumed: readonly number[],
): Recovery {
  const of = (victim: VictimKind, deed: Deed): Struck[] =>
    struck.filter((strike) => strike.victim === victim && strike.deed === deed);
  const takeovers = (isHung: boolean): { key: string; at: number }[] =>
    failovers
      .filter(({ cause }) => (cause === "hung") === isHung)
      .map(({ coordinator, at }) => ({ key: coordinator, at }));
  const starts = begun.map(({ taskId, at }) => ({ key: taskId, at }));
  // An agent that a coordinator of the dead master still started is no recovery: only what follows the resume counts.
  const restarts = resumed.flatMap((at) => {
    const first = begun.filter((one) => one.at >= at).sort((one, other) => one.at - other.at)[0];
    return first === undefined ? [] : [{ key: "master", at: first.at }];
  });
  // What the master did not live to write down is not known, and what it then took over again has another cause.
  const forgets = of("master", "kill").map(({ at }) => at);
  return {
    coordinators: measured(of("coordinators", "kill"), takeovers(false), forgets),
    hung_coordinators: { ...measured(of("coordinators", "stop"), takeovers(true), forgets), unmeasured: 0 },
    agents: measured(of("agents", "kill"), starts),
    master: measured(of("master", "kill"), restarts),
  };
}
