/** The phases of attempts: waiting for a process, running, waiting for the result to be counted. Pure. */
import { LatencyCounts } from "../message/latency.ts";
import type { AttemptEvent } from "./events.ts";
import type { Phase } from "./histogram.ts";

export type PhaseCounts = Readonly<Record<Phase, LatencyCounts>>;

export const phases: readonly Phase[] = ["queue", "run", "result"];

export interface TeamCounts {
  readonly phases: PhaseCounts;
  attempts: number;
  unsuccessful: number;
}

export const teamCounts = (): TeamCounts => ({
  phases: { queue: new LatencyCounts(), run: new LatencyCounts(), result: new LatencyCounts() },
  attempts: 0,
  unsuccessful: 0,
});

export interface AgentTimes {
  readonly agent: string;
  readonly attempts: number;
  readonly longest_ms: number;
  /** Of the longest. */
  readonly task_id: string;
  readonly mean_ms: number;
}

interface Times {
  attempts: number;
  sumMs: number;
  longestMs: number;
  taskId: string;
}

export class SlowestAgents {
  private readonly agents = new Map<string, Times>();

  add({ agent, run_ms, task_id }: AttemptEvent): void {
    if (run_ms === undefined) return;
    const times = this.agents.get(agent) ?? { attempts: 0, sumMs: 0, longestMs: -1, taskId: "" };
    this.agents.set(agent, times);
    times.attempts++;
    times.sumMs += run_ms;
    if (run_ms <= times.longestMs) return;
    times.longestMs = run_ms;
    times.taskId = task_id;
  }

  /** By the longest attempt of each. */
  slowest(most: number): AgentTimes[] {
    return [...this.agents]
      .sort(([, one], [, other]) => other.longestMs - one.longestMs)
      .slice(0, most)
      .map(([agent, { attempts, sumMs, longestMs, taskId }]) => ({
        agent,
        attempts,
        longest_ms: longestMs,
        task_id: taskId,
        mean_ms: Math.round((sumMs / attempts) * 1000) / 1000,
      }));
  }
}
