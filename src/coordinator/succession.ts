/**
 * What a coordinator that died leaves behind, gathered from where it is safe: results that its agents had sent and it had not
 * passed on (its inbox), and what each seat runs or how it ended (its roster). An agent that was being started when it died is
 * found by what the kernel has of it: its environment, as it was at its start.
 */
import type { Bus } from "../bus/contract.ts";
import { type RosterCounts, type RosterEntry, readRoster } from "../bus/roster.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { unixSeconds } from "../os/clock.ts";
import { childrenOf, startVariables } from "../os/descendants.ts";
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
  }): boolean;
  stop(graceMs: number): void;
}

const none: RosterCounts = { expected: 0, delivered: 0, duplicates: 0 };

export class Legacy {
  /** Results on its inbox: accepted by the bus, so they count. */
  readonly results: readonly ResultPayload[];
  private readonly entries = new Map<number, RosterEntry>();
  private readonly counted: RosterCounts;
  adopted = 0;

  /** The process must have ended: then its locks are free, and its agents are children of this process. */
  constructor(
    bus: Bus,
    private readonly lead: string,
    epoch: number,
  ) {
    this.results = takeResults(bus, lead);
    const roster = readRoster(bus.info.dir, lead, epoch);
    this.counted = roster?.counts ?? none;
    for (const entry of roster?.entries ?? []) {
      const found = entry.state === "launching" ? this.trace(entry) : entry;
      if (found !== undefined) this.entries.set(found.seq, found);
    }
  }

  /** The attempts whose results will come from here. */
  get held(): readonly Attempt[] {
    return [...this.entries.values()].map(({ seq, attempt }) => ({ seq, attempt }));
  }

  private seatId(entry: RosterEntry): string {
    return `${this.lead}-w${entry.seat + 1}`;
  }

  /** The agent of a seat whose start had been asked for and whose pid was not written down any more. */
  private trace(entry: RosterEntry): RosterEntry | undefined {
    const id = this.seatId(entry);
    for (const pid of childrenOf(process.pid)) {
      const variables = startVariables(pid);
      if (variables?.["CFN_AGENT_ID"] !== id || variables["CFN_ATTEMPT"] !== String(entry.attempt)) continue;
      return { ...entry, state: "running", pid, startedAt: unixSeconds() };
    }
    return undefined;
  }

  /** Gives the agent of this attempt to who sees it to its end. False if that cannot be done. */
  handOver(task: TaskPayload, fostering: Fostering): boolean {
    const entry = this.entries.get(task.seq);
    if (entry === undefined || entry.attempt !== task.attempt) return false;
    const taken = fostering.adopt({ agentId: this.seatId(entry), lead: this.lead, task, entry });
    if (taken) {
      this.entries.delete(task.seq);
      this.adopted++;
    }
    return taken;
  }

  /** Agents that nobody waits for any more, their results being known or their tasks cancelled, have no owner: they end. */
  endRest(): void {
    for (const { state, pid } of this.entries.values()) if (state === "running") signalGroup(pid, SIGKILL);
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
