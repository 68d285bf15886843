/** Who may be struck: only processes that this one started, each verified to be still the one that was meant. */
import { openBus } from "../bus/bus.ts";
import { CfnError } from "../errors.ts";
import { isAlive, type ProcessIdentity, processState } from "../os/process.ts";
import { evidencePaths, evidenceWords, Tail } from "./evidence.ts";
import { type Life, lifeEvent } from "./history.ts";

export interface Victim extends ProcessIdentity {
  /** A coordinator's id, a task's, a sender's, "master". */
  readonly name: string;
}

const GENERATIONS_MOST = 64;

/** Whether a process descends from another; from this one if none is named. */
export function isOurs(pid: number, ancestor = process.pid): boolean {
  let at = pid;
  for (let up = 0; up < GENERATIONS_MOST; up++) {
    const parent = processState(at)?.parentPid;
    if (parent === ancestor) return true;
    if (parent === undefined || parent <= 1) return false;
    at = parent;
  }
  return false;
}

export const identityOf = (pid: number): ProcessIdentity | undefined => {
  const state = processState(pid);
  return state === undefined ? undefined : { pid, startTicks: state.startTicks };
};

/** The agents that are alive by their own evidence. */
export class LivingAgents {
  private readonly tail: Tail;
  private readonly alive = new Map<string, Life>();
  started = 0;

  constructor(dir: string) {
    this.tail = new Tail(evidencePaths.agents(dir));
  }

  /** Reads what has been written since the last time. */
  look(): void {
    for (const line of this.tail.take()) {
      const words = evidenceWords(line);
      const event = words && lifeEvent(words);
      if (event === undefined) continue;
      const key = `${event.pid} ${event.startTicks}`;
      if (event.what === "end") this.alive.delete(key);
      else {
        this.started++;
        this.alive.set(key, event);
      }
    }
  }

  /** The one at `pick` of those that live, in [0, 1), and are not `left` out. */
  pick(pick: number, left: (one: Victim) => boolean = () => false): Victim | undefined {
    this.look();
    while (this.alive.size > 0) {
      const [key, life] = [...this.alive][Math.floor(pick * this.alive.size)] as [string, Life];
      const victim = { pid: life.pid, startTicks: life.startTicks, name: life.taskId };
      if (isAlive(victim) && isOurs(victim.pid) && !left(victim)) return victim;
      this.alive.delete(key);
    }
    return undefined;
  }
}

/** The coordinators of a run: descendants of its master that the run's bus names as hosts of their ids. */
export function coordinatorsOf(busDir: string, masterPid: number): Victim[] {
  try {
    const bus = openBus(busDir);
    try {
      return bus.agents().flatMap(({ id, role, hostPid }) => {
        const state = role === "coordinator" && hostPid > 0 ? processState(hostPid) : undefined;
        const isIts = state !== undefined && state.state !== "Z" && isOurs(hostPid, masterPid);
        return isIts ? [{ pid: hostPid, startTicks: state.startTicks, name: id }] : [];
      });
    } finally {
      bus.close();
    }
  } catch (error) {
    if (error instanceof CfnError) return []; // The run has just ended, or has not made its bus yet.
    throw error;
  }
}
