/**
 * What a coordinator that died leaves behind, gathered from where it is safe: results that its agents had sent and it had not
 * passed on (its inbox), and what each seat runs or how it ended (its roster).
 */
import type { Bus } from "../bus/contract.ts";
import { type Roster, type RosterCounts, type RosterEntry, readRoster, reopenRoster } from "../bus/roster.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { childrenOf, startVariables } from "../os/descendants.ts";
import { processState, signalProcess } from "../os/process.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import type { Attempt } from "./decide.ts";
import { isResult } from "./payload.ts";
import type { DeliveryCounts } from "./tally.ts";

/** What sees agents to their end that have lost their coordinator. `src/agent/adoption.ts` is it. */
export interface Fostering {
  /** False if it cannot be known any more how it ended. */
  adopt(one: {
    readonly agentId: string;
    readonly lead: string;
    readonly task: TaskPayload;
    readonly entry: RosterEntry;
    readonly roster: Roster;
  }): boolean;
  stop(graceMs: number): void;
  /** The same for one agent, if it is among them. */
  end(agentId: string, graceMs: number | undefined): void;
}

const none: RosterCounts = { expected: 0, delivered: 0, duplicates: 0 };

export class Legacy {
  /** Results on its inbox: accepted by the bus, so they count. */
  readonly results: readonly ResultPayload[];
  private readonly entries = new Map<number, RosterEntry>();
  /** Seats whose agent was being started: perhaps there is one, perhaps not. */
  private readonly starting: RosterEntry[] = [];
  private readonly counted: RosterCounts;
  /** Written on for those that are adopted. */
  private readonly roster: Roster | undefined;
  adopted = 0;

  /** The process must have ended: then its locks are free, and its agents are children of this process. */
  constructor(
    bus: Bus,
    private readonly lead: string,
    epoch: number,
  ) {
    globalThis.crashPoint?.("takeover.begun");
    this.results = takeResults(bus, lead);
    globalThis.crashPoint?.("takeover.emptied");
    const roster = readRoster(bus.info.dir, lead, epoch);
    this.counted = roster?.counts ?? none;
    this.roster = reopenRoster(bus.info.dir, lead, epoch);
    for (const entry of roster?.entries ?? []) {
      if (entry.state === "launching") this.starting.push(entry);
      else this.entries.set(entry.seq, entry);
    }
  }

  /** The attempts whose results will come from here. */
  get held(): readonly Attempt[] {
    return [...this.entries.values()].map(({ seq, attempt }) => ({ seq, attempt }));
  }

  private seatId(entry: RosterEntry): string {
    return `${this.lead}-w${entry.seat + 1}`;
  }

  /** Gives the agent of this attempt to who sees it to its end. False if that cannot be done. */
  handOver(task: TaskPayload, fostering: Fostering): boolean {
    const entry = this.entries.get(task.seq);
    if (this.roster === undefined || entry === undefined || entry.attempt !== task.attempt) return false;
    globalThis.crashPoint?.("takeover.adopting");
    const taken = fostering.adopt({ agentId: this.seatId(entry), lead: this.lead, task, entry, roster: this.roster });
    if (taken) {
      this.entries.delete(task.seq);
      this.adopted++;
      globalThis.crashPoint?.("takeover.adopted");
    }
    return taken;
  }

  /**
   * Agents that nobody waits for any more, their results being known or their tasks cancelled, have no owner: they end. So does
   * one that was just being started: its pid was not written down, and its task begins anew. It, and what it or an agent before it
   * in the same seat has left, are known by the environment they were started with.
   */
  endRest(): void {
    for (const { seat } of [...this.entries.values(), ...this.starting]) this.roster?.clear(seat);
    for (const { state, pid } of this.entries.values()) {
      // One that has ended and is reaped is no child of ours any more, and its pid perhaps somebody else's.
      if (state === "running" && processState(pid)?.parentPid === process.pid) signalGroup(pid, SIGKILL);
    }
    if (this.starting.length === 0) return;
    const marks = new Set(this.starting.map((entry) => `${this.seatId(entry)} ${entry.attempt}`));
    for (const pid of childrenOf(process.pid)) {
      const variables = startVariables(pid);
      if (!marks.has(`${variables?.["CFN_AGENT_ID"]} ${variables?.["CFN_ATTEMPT"]}`)) continue;
      signalProcess(pid, SIGKILL);
      signalGroup(pid, SIGKILL);
    }
  }

  /**
   * What is certain of its counts: each result found in its inbox stands for two messages delivered, each agent adopted for one;
   * what else it had sent is not expected any more.
   */
  get counts(): DeliveryCounts {
    const known = this.counted.delivered + 2 * this.results.length + this.adopted;
    return {
      expected: known,
      delivered: known,
      duplicates: this.counted.duplicates,
      lost: [],
      withdrawn: Math.max(0, this.counted.expected - known),
    };
  }
}

/** Reads its inbox to the end. Tasks there are not begun: the master still has them. */
function takeResults(bus: Bus, lead: string): ResultPayload[] {
  const results: ResultPayload[] = [];
  if (!bus.has(lead)) return results;
  const lease = bus.lease(lead, "control");
  if (lease === undefined) return results;
  for (let mail = lease.read(READ_MOST); mail.length > 0; mail = lease.read(READ_MOST)) {
    for (const { message } of mail) {
      const payload: unknown = message.payload;
      if (message.type === "result" && isResult(payload)) results.push(payload);
    }
    lease.ack(mail.length);
  }
  lease.release();
  return results;
}

const READ_MOST = 256;
