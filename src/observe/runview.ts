/** What a bus and its run look like from outside, at one instant. Types and what follows from them; pure. */
import type { BoardRead, RunPhase } from "../bus/board.ts";
import { type Health, type HealthState, healthStates, worstOf } from "./judge.ts";

/** A process that hosts agents. */
export interface HostView {
  readonly id: string;
  readonly role: "master" | "coordinator";
  readonly pid: number;
  /** Milliseconds since its loop turned. */
  readonly beatAgeMs: number;
  readonly health: Health;
}

export interface AgentView {
  readonly id: string;
  /** Who leads it; "" for nobody. */
  readonly team: string;
  /** `ended`: idle, and its last task has ended as `health` says. */
  readonly doing: "idle" | "starting" | "running" | "ended";
  /** 0 where it runs nothing. */
  readonly pid: number;
  /** Position of its task in the list and number of the attempt; 0 where it has had none. */
  readonly seq: number;
  readonly attempt: number;
  /** Unix seconds; 0 where it has not started. */
  readonly startedAt: number;
  /** Of its task so far, as its host saw last. */
  readonly cpuMs: number;
  readonly outputBytes: number;
  /** Messages accepted and not yet acknowledged. */
  readonly depth: { readonly data: number; readonly control: number };
  readonly health: Health;
}

export interface RunView {
  /** Undefined on a bus that is nobody's run. */
  readonly runId: string | undefined;
  readonly busDir: string;
  readonly busBytes: number;
  readonly busBytesMost: number;
  /** Undefined where no run writes one. */
  readonly board: BoardRead | undefined;
  readonly phase: RunPhase | undefined;
  readonly hosts: readonly HostView[];
  readonly agents: readonly AgentView[];
  /** What a run's coordinators have counted, by the board and the rosters. */
  readonly delivery: {
    readonly expected: number;
    readonly delivered: number;
    readonly duplicates: number;
    readonly withdrawn: number;
  };
  /**
   * What another look in a moment may explain: somebody has died whose host may just not have said how, or a beat is late
   * which may be ours.
   */
  readonly suspicion: "none" | "death" | "beat";
}

/** The run without its agents: of the hosts only the master, of what is suspicious only its beat. */
export type RunHead = Pick<RunView, "runId" | "board" | "phase" | "hosts" | "suspicion">;

export const healthOf = (view: RunView): HealthState =>
  worstOf([...view.hosts, ...view.agents].map(({ health }) => health));

/** How many agents are in each state, in the order of the states. */
export function agentCounts(view: RunView): Readonly<Record<HealthState, number>> {
  const counts = Object.fromEntries(healthStates.map((state) => [state, 0])) as Record<HealthState, number>;
  for (const { health } of view.agents) counts[health.state]++;
  return counts;
}

/** Why the run does not answer for itself; undefined if its master is well. */
export function masterTrouble(view: RunHead): string | undefined {
  const master = view.hosts.find(({ role }) => role === "master");
  if (master === undefined) return view.runId === undefined ? undefined : "it is just being made";
  return master.health.state === "healthy" ? undefined : `the master: ${master.health.reason}`;
}

/** Why not all of the run takes tasks; undefined if it does. */
export function unreadiness(view: RunHead): string | undefined {
  const { board, phase } = view;
  if (board === undefined) return "there is no run";
  if (phase !== "running") return `the run is ${phase}`;
  const waiting = board.ready.flatMap((takes, n) => (takes ? [] : [`c${n + 1}`]));
  if (waiting.length > 0) return `${waiting.join(", ")} ${waiting.length === 1 ? "takes" : "take"} no tasks`;
  return masterTrouble(view);
}
