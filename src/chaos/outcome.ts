/** What `cfn chaos` found out: schema `cfn.chaos/1`. */
import type { Stroke } from "./killer.ts";
import type { MessageCounts } from "./messages.ts";
import { type Deed, deeds, type Strike, type VictimKind, victimKinds } from "./plan.ts";
import type { Recovery } from "./recovery.ts";
import type { ResultCounts } from "./results.ts";

export interface Orphans {
  /** Left when a killed master's run should have been gone; ended by chaos. */
  readonly after_master: number;
  /** Left when the run had returned; ended by chaos. */
  readonly after_run: number;
  /** Left at the very end, anywhere on the machine, with the mark of this chaos in their environment; ended by chaos. */
  readonly marked: number;
  readonly total: number;
  /** What agents had left behind and the run ended itself, as its report says: no orphans. */
  readonly ended_by_run: number;
}

export interface RunSummary {
  readonly run_id: string;
  /** Exit status of each of its processes, 128 + signal where a signal ended it. */
  readonly exits: readonly number[];
  /** As in the report; "none" where there is no report. */
  readonly status: string;
  /** It did not end in time, and was ended. */
  readonly hung: boolean;
  readonly resumes: number;
  /** Between each death of the master and the end of its last process, the longest. */
  readonly master_gone_ms: number;
  readonly failovers: number;
  readonly adopted: number;
  readonly reassigned: number;
  readonly delivery_rate: number | null;
  /** Buses of the run that were still there at the end. */
  readonly buses_left: number;
  /** What its last process said on stderr, the end of it; "" where it succeeded. */
  readonly said: string;
}

export type StrikeCounts = Readonly<Record<VictimKind, Readonly<Partial<Record<Deed, number>>>>>;

export interface ChaosOutcome {
  readonly schema: "cfn.chaos/1";
  readonly seed: number;
  readonly agents: number;
  readonly coordinators: number;
  readonly duration_ms: number;
  readonly kill: readonly VictimKind[];
  readonly elapsed_ms: number;
  readonly clean: boolean;
  /** What keeps it from being clean, in words. */
  readonly violations: readonly string[];
  readonly strikes: { readonly planned: number; readonly done: StrikeCounts };
  readonly messages: MessageCounts;
  readonly results: ResultCounts;
  readonly orphans: Orphans;
  readonly recovery: Recovery;
  readonly run: RunSummary;
  /** Senders that ended by themselves, though nobody killed them. */
  readonly sender_failures: number;
  /** The directory of evidence; null if it was not kept. */
  readonly evidence: string | null;
  readonly plan: readonly Strike[];
  readonly strokes: readonly Stroke[];
}

/** How many strikes were carried out, by victim and deed. Pure. */
export function countStrikes(strokes: readonly Stroke[]): StrikeCounts {
  const counts = Object.fromEntries(victimKinds.map((kind) => [kind, {}])) as Record<
    VictimKind,
    Partial<Record<Deed, number>>
  >;
  for (const deed of deeds) {
    for (const kind of victimKinds) {
      const done = strokes.filter((one) => one.victim === kind && one.deed === deed && one.outcome === "done").length;
      if (done > 0) counts[kind][deed] = done;
    }
  }
  return counts;
}

/** What must not be, by name; empty if the promise was kept. Pure. */
export function violationsOf(
  found: Pick<ChaosOutcome, "messages" | "results" | "orphans" | "run" | "sender_failures" | "strikes" | "kill">,
): readonly string[] {
  const { messages, results, orphans, run, sender_failures, strikes, kill } = found;
  const counts: readonly (readonly [number, string])[] = [
    [messages.lost, "messages lost"],
    [messages.duplicated, "messages duplicated"],
    [messages.reordered, "messages out of order"],
    [messages.torn, "messages torn"],
    [messages.forged, "messages that nobody sent"],
    [results.lost, "results lost"],
    [results.duplicated, "results duplicated"],
    [results.failed, "tasks failed"],
    [results.damaged, "results damaged"],
    [orphans.total, "orphans"],
    [run.buses_left, "buses left behind"],
    [sender_failures, "senders failed by themselves"],
  ];
  const violations = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  // A proof in which nothing was done proves nothing.
  for (const kind of kill) {
    if (Object.keys(strikes.done[kind]).length === 0) violations.push(`nothing could be done to the ${kind}`);
  }
  if (messages.received === 0) violations.push("no message was received");
  if (run.hung) violations.push("the run did not end");
  else if (run.exits.at(-1) !== 0) violations.push(`the run ended with status ${run.exits.at(-1)}`);
  return violations;
}
