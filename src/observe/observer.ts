/**
 * Looks at a bus and the run on it. Nobody is asked: what is read is the board, the rosters, the bus's index and /proc.
 *
 * The clock is read before anything else, so whatever stops this process in between makes nothing look older than it is. Agents
 * whose hosts turn their loops are taken at their hosts' word, which is a few milliseconds old; the kernel is asked about those
 * whose host does not, and about those that were stopped; about all of them in a `thorough` look (15 µs each).
 */
import { type BoardRead, readBoard, runPhases } from "../bus/board.ts";
import { openBus } from "../bus/bus.ts";
import type { AgentEntry, Bus } from "../bus/contract.ts";
import { isBus, runOf } from "../bus/directory.ts";
import { listRosters, type RosterEntry, type RosterRead, readRoster } from "../bus/roster.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { systemMs } from "../os/clock.ts";
import { pidNamespace } from "../os/process.ts";
import { type HostFacts, judgeAgent, judgeHost, type ProcessFacts, type Thresholds } from "./judge.ts";
import { isThere, lookAtAgent, lookAtHost } from "./processes.ts";
import type { AgentView, HostView, RunHead, RunView } from "./runview.ts";

/** A loop that turns ticks every `limits.pollMs`. */
const TURNING_MS = 3 * limits.pollMs;
const MS_PER_TICK = 10;

/** One coordinator's, or one `cfn agent`'s. */
interface TeamRead {
  readonly lead: string;
  readonly read: RosterRead;
  readonly host: HostFacts;
}

interface Look {
  readonly now: number;
  readonly board: BoardRead | undefined;
  readonly thresholds: Thresholds;
  readonly master: HostFacts | undefined;
  readonly leaving: boolean;
  readonly thorough: boolean;
}

export class Observer {
  readonly #busDir: string;
  readonly #bus: Bus;
  readonly #namespace = pidNamespace();
  #busBytes = 0;
  #busBytesAt = Number.NEGATIVE_INFINITY;

  /** Throws CfnError as `openBus` does. */
  constructor(busDir: string) {
    this.#busDir = busDir;
    this.#bus = openBus(busDir);
  }

  /** Undefined once the bus is gone. */
  look(thorough: boolean): RunView | undefined {
    return this.#whileThere(() => this.#view(thorough));
  }

  /** The same of the run and its master alone: what it costs does not grow with the agents. */
  head(): RunHead | undefined {
    return this.#whileThere(() => {
      const now = systemMs();
      const { board, phase, leaving, thresholds, master } = this.#run(now);
      const hosts = master === undefined ? [] : [hostView("master", master, thresholds)];
      const isLate = !leaving && hosts.some(({ beatAgeMs }) => beatAgeMs >= limits.beatLateMs);
      return { runId: runOf(this.#busDir), board, phase, hosts, suspicion: isLate ? "beat" : "none" };
    });
  }

  #whileThere<T>(look: () => T): T | undefined {
    if (!isBus(this.#busDir)) return undefined;
    try {
      return look();
    } catch (error) {
      // It went away meanwhile.
      if (error instanceof CfnError && !isBus(this.#busDir)) return undefined;
      throw error;
    }
  }

  close(): void {
    this.#bus.close();
  }

  #run(now: number) {
    const board = readBoard(this.#busDir);
    const phase = board && runPhases[board.phase];
    const leaving = phase === "stopping" || phase === "over";
    const thresholds: Thresholds = {
      stoppedAfterMs: board?.stopped_after_ms ?? limits.stoppedAfterMs,
      stalledAfterMs: board?.stalled_after_ms ?? limits.stalledAfterMs,
      beatLateMs: limits.beatLateMs,
      hungAfterMs: limits.coordinatorHungMs,
    };
    return { board, phase, leaving, thresholds, master: board && this.#master(board, now) };
  }

  #view(thorough: boolean): RunView {
    const now = systemMs();
    const { board, phase, leaving, thresholds, master } = this.#run(now);
    const look: Look = { now, board, thresholds, master, leaving, thorough };
    const teams = this.#teams(look);
    const index = thorough ? this.#bus.agents() : this.#bus.agentsSeen();
    const agents = this.#agents(look, teams, index);
    const hosts = hostViews(look, teams);
    const runId = runOf(this.#busDir);
    const delivery = deliveryOf(board, leaving, teams);
    const late = [...hosts.map(({ beatAgeMs }) => beatAgeMs), ...teams.map(({ host }) => host.beatAgeMs)];
    const isLate = !leaving && late.some((age) => age >= limits.beatLateMs);
    const deaths = agents.some(({ doing, health }) => doing === "running" && health.state === "dead");
    const suspicion = isLate ? "beat" : deaths ? "death" : "none";
    const [busBytes, busBytesMost] = [this.#bytes(now), this.#bus.info.busBytes];
    return { runId, busDir: this.#busDir, busBytes, busBytesMost, board, phase, hosts, agents, delivery, suspicion };
  }

  #bytes(now: number): number {
    if (now - this.#busBytesAt < limits.healthIntervalMs) return this.#busBytes;
    this.#busBytesAt = now;
    this.#busBytes = this.#bus.bytes();
    return this.#busBytes;
  }

  #master(board: BoardRead, now: number): HostFacts {
    const seen = lookAtHost({ pid: board.pid, startTicks: board.start_ticks });
    const known = board.pid_namespace === this.#namespace;
    const kernel = known ? seen : { alive: true, stopped: false };
    // It is the last to leave: while its phase says so, its death is still one.
    return { id: "master", pid: board.pid, ...kernel, beatAgeMs: Math.max(0, now - board.beat_at), leaving: false };
  }

  /** Of each lead all its epochs, the newest first. */
  #teams({ now, leaving }: Look): TeamRead[] {
    const rosters = listRosters(this.#busDir).sort((a, b) => b.epoch - a.epoch);
    return rosters.flatMap(({ lead, epoch }) => {
      const read = readRoster(this.#busDir, lead, epoch);
      if (read === undefined || read.seats === 0) return [];
      const kernel = read.pidNamespace === this.#namespace ? lookAtHost(read.host) : { alive: true, stopped: false };
      const beatAgeMs = Math.max(0, now - read.beatAt);
      return [{ lead, read, host: { id: lead, pid: read.host.pid, ...kernel, beatAgeMs, leaving } }];
    });
  }

  #agents(look: Look, teams: readonly TeamRead[], index: readonly AgentEntry[]): AgentView[] {
    const seats = new Map<string, { readonly team: TeamRead; readonly entry: RosterEntry }>();
    const newest = new Map<string, TeamRead>();
    for (const team of teams) {
      if (!newest.has(team.lead)) newest.set(team.lead, team);
      for (const entry of team.read.entries) {
        const id = seatId(look.board, team, entry.seat);
        const known = seats.get(id)?.entry;
        // One that an older epoch has begun and the master sees to its end comes before what the seat did since.
        const runs = entry.state === "running" && known?.state !== "running" && known?.state !== "launching";
        if (known === undefined || runs) seats.set(id, { team, entry });
      }
    }
    const views = index
      .filter(({ role }) => role === "worker")
      .map((agent) => {
        const seat = seats.get(agent.id);
        seats.delete(agent.id);
        const team = seat?.team ?? newest.get(agent.id) ?? newest.get(agent.team);
        return this.#agent(look, agent, team, seat?.entry);
      });
    // What is not on the bus any more and is still in a roster: agents of a coordinator that has just died.
    for (const [id, { team, entry }] of seats) {
      if (entry.state !== "ended") views.push(this.#agent(look, absent(id, team.lead), team, entry));
    }
    return views;
  }

  #agent(look: Look, agent: AgentEntry, team: TeamRead | undefined, entry: RosterEntry | undefined): AgentView {
    const { board, master, thresholds, now, leaving } = look;
    const host = team?.host ?? this.#stranger(agent, leaving);
    // What outlives its coordinator is the master's child, and the master says in the same roster how it does.
    const foster = team !== undefined && !host.alive && master !== undefined && host.beatAgeMs < TURNING_MS;
    const cares: HostFacts = foster ? { ...master, beatAgeMs: host.beatAgeMs } : host;
    const process = entry && this.#process(look, entry, team as TeamRead, cares);
    const health = judgeAgent({ entry, process, host: cares }, thresholds, now);
    const runs = entry?.state === "running" || entry?.state === "launching";
    return {
      id: agent.id,
      team: agent.team === "" && board !== undefined && team !== undefined ? team.lead : agent.team,
      doing: entry === undefined ? "idle" : entry.state === "launching" ? "starting" : entry.state,
      pid: runs ? entry.pid : 0,
      seq: entry?.seq ?? 0,
      attempt: entry?.attempt ?? 0,
      startedAt: entry?.startedAt ?? 0,
      cpuMs: (entry?.sample?.cpuTicks ?? 0) * MS_PER_TICK,
      outputBytes: entry?.sample?.outputBytes ?? 0,
      depth: agent.depth,
      health,
    };
  }

  #process({ thorough, master }: Look, entry: RosterEntry, team: TeamRead, host: HostFacts): ProcessFacts | undefined {
    if (entry.state !== "running" || team.read.pidNamespace !== this.#namespace) return undefined;
    const turns = host.alive && host.beatAgeMs < TURNING_MS;
    if (!thorough && turns && entry.sample?.stoppedSince === undefined) return undefined;
    const parents = [team.read.host.pid, ...(master === undefined ? [] : [master.pid])];
    return lookAtAgent(entry, parents);
  }

  /** Who hosts an agent that no roster knows. */
  #stranger({ hostPid }: AgentEntry, leaving: boolean): HostFacts {
    const alive = hostPid > 0 && isThere(hostPid);
    return { id: "", pid: hostPid, alive, stopped: false, beatAgeMs: 0, leaving };
  }
}

const absent = (id: string, team: string): AgentEntry => ({
  id,
  role: "worker",
  team,
  hostPid: 0,
  depth: { data: 0, control: 0 },
  incarnation: 0,
});

/** A run names its seats; `cfn agent` has one, with its own name. */
function seatId(board: BoardRead | undefined, { lead, read }: TeamRead, seat: number): string {
  if (board === undefined || (read.seats === 1 && !/^c[0-9]+$/.test(lead))) return lead;
  return board.hybrid === 1 ? `${lead}-w${seat + 1}` : `w${seat + 1}`;
}

function hostViews({ master, thresholds, board }: Look, teams: readonly TeamRead[]): HostView[] {
  const views: HostView[] = [];
  if (master !== undefined) views.push(hostView("master", master, thresholds));
  if (board?.hybrid !== 1) return views;
  for (let n = 1; n <= board.coordinators; n++) {
    const team = teams.find(({ lead }) => lead === `c${n}`);
    if (team !== undefined) views.push(hostView("coordinator", team.host, thresholds));
  }
  return views;
}

function hostView(role: HostView["role"], host: HostFacts, thresholds: Thresholds): HostView {
  const { id, pid, beatAgeMs } = host;
  return { id, role, pid, beatAgeMs, health: judgeHost(host, thresholds) };
}

/** What coordinators have counted that still lead is in their rosters; what those counted that have ended, on the board. */
function deliveryOf(board: BoardRead | undefined, leaving: boolean, teams: readonly TeamRead[]): RunView["delivery"] {
  if (board === undefined) return { expected: 0, delivered: 0, duplicates: 0, withdrawn: 0 };
  const led = board.hybrid === 1 && !leaving ? teams.filter(({ host }) => host.alive) : [];
  const sum = (what: "expected" | "delivered" | "duplicates"): number =>
    led.reduce((all, { read }) => all + read.counts[what], 0);
  return {
    expected: board.mesh_expected + board.hierarchical_expected + sum("expected"),
    delivered: board.mesh_delivered + board.hierarchical_delivered + sum("delivered"),
    duplicates: board.mesh_duplicates + board.hierarchical_duplicates + sum("duplicates"),
    withdrawn: board.mesh_withdrawn + board.hierarchical_withdrawn,
  };
}
