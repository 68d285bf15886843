/** What a process and its bus are asked for, as events hold it. */
import { cpuMs, openDescriptors, rssBytes } from "../os/usage.ts";
import type { DeliveryTotals, ProcessFigures, SampleEvent } from "./events.ts";

/** As the bus counts. Waits for locks are this process's. */
export interface LockFigures {
  readonly lockWaits: number;
  readonly lockWaitMs: number;
  readonly lockWaitMostMs: number;
}

export interface BusFigures extends LockFigures {
  readonly accepted: number;
  readonly refusedInboxFull: number;
  readonly refusedBusFull: number;
  readonly refusedRate: number;
  readonly depth: number;
  readonly deepest: { readonly depth: number } | undefined;
}

/** `spentMs` is asked last: these figures are metrics too. */
export function processFigures(metrics: { readonly spentMs: number }): ProcessFigures {
  const used = { rss_bytes: rssBytes(), open_fds: openDescriptors(), cpu_ms: rounded(cpuMs()) };
  return { ...used, metrics_ms: rounded(metrics.spentMs) };
}

/** The part of an event that is about the bus: none where it cannot say now. */
export function busPart(ask: () => BusFigures): Pick<SampleEvent, "bus"> {
  const figures = whereKnown(ask);
  if (figures === undefined) return {};
  const bus = {
    ...locksOf(figures),
    accepted: figures.accepted,
    refused_inbox_full: figures.refusedInboxFull,
    refused_bus_full: figures.refusedBusFull,
    refused_rate: figures.refusedRate,
    inbox_depth: figures.depth,
    inbox_depth_most: figures.deepest?.depth ?? 0,
  };
  return { bus };
}

export const lockPart = (figures: LockFigures): Pick<SampleEvent, "bus"> => ({ bus: locksOf(figures) });

const locksOf = (figures: LockFigures) => ({
  lock_waits: figures.lockWaits,
  lock_wait_ms: rounded(figures.lockWaitMs),
  lock_wait_most_ms: rounded(figures.lockWaitMostMs),
});

/** The run does not depend on its metrics: where a lock cannot be had, or the bus is gone, the figure is missing. */
export function whereKnown<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined; // Who needs the bus says what is wrong with it.
  }
}

/** As the coordinator counts, with the ids of what was lost, of which the number is kept. */
export interface CountedDeliveries {
  readonly expected: number;
  readonly delivered: number;
  readonly duplicates: number;
  readonly lost: readonly string[];
  readonly withdrawn: number;
}

export const deliveryTotals = (counts: CountedDeliveries): DeliveryTotals => ({
  expected: counts.expected,
  delivered: counts.delivered,
  rate: counts.expected === 0 ? 1 : counts.delivered / counts.expected,
  duplicates: counts.duplicates,
  lost: counts.lost.length,
  withdrawn: counts.withdrawn,
});

/** Below it a number of microseconds fits 31 bits. */
const SHORT_MS = 2_000_000;

/** To the microsecond. Each attempt has three of them, and the short way takes a third of the time. */
export const rounded = (ms: number): number =>
  ms >= 0 && ms < SHORT_MS ? ((ms * 1000 + 0.5) | 0) / 1000 : Math.round(ms * 1000) / 1000;
