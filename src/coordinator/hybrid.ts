/** The hybrid swarm: the master leads K coordinators, `c1`…, each a process of its own with its team of workers. */
import type { Bell, Bus } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Json, Message } from "../message/message.ts";
import type { ByePayload, ResultPayload, StopPayload, TaskPayload } from "../message/protocol.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import { type Exit, keepExits, watchChild } from "../os/reap.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import type { Spawned } from "../os/spawn.ts";
import { Backoff } from "./backoff.ts";
import { bundlesOf, entryId, taskChars } from "./bundle.ts";
import { Liveness } from "./liveness.ts";
import { isAnswer, isBack, isBye, isHello, isLook, isStopRequest } from "./payload.ts";
import { Inbox, Postbox } from "./post.ts";
import { type Fostering, Legacy } from "./succession.ts";
import type { Failover, Swarm, SwarmEvents } from "./swarm.ts";
import { addDeliveries, type DeliveryCounts, Tally } from "./tally.ts";

export const masterId = "master";

export interface HybridOptions {
  readonly bus: Bus;
  readonly runId: string;
  /** Workers of each coordinator. */
  readonly teams: readonly number[];
  /** Starts the process of a coordinator. */
  readonly startCoordinator: (id: string, workers: number) => Spawned;
  /** Sees agents to their end whose coordinator has died. */
  readonly openFostering: (onResult: (result: ResultPayload) => void) => Fostering;
  readonly onWarning: (text: string) => void;
}

/** One coordinator's place, which several processes may hold one after the other. */
interface Place {
  readonly id: string;
  readonly workers: number;
  readonly backoff: Backoff;
  readonly liveness: Liveness;
  /** 0 while nobody holds it. */
  pid: number;
  /** Of who holds it, or held it last; 0 before the first hello. */
  epoch: number;
  /** Why it was ended by us. */
  fenced: string | undefined;
  /** Tasks that it owes a result for: the id by which each went to it, by its seq. */
  readonly owes: Map<number, string>;
  legacy: Legacy | undefined;
}

export class HybridSwarm implements Swarm {
  readonly coordinators: readonly string[];
  peakRssBytes = 0;
  openFdsMax = 0;
  private readonly tally = new Tally();
  private readonly inbox: Inbox;
  private readonly outbox: Postbox;
  private readonly bell: Bell;
  private readonly places = new Map<string, Place>();
  private readonly byes = new Map<string, ByePayload>();
  /** What coordinators that died had counted. */
  private readonly bequeathed: DeliveryCounts[] = [];
  private readonly fostering: Fostering;
  private looking: ReturnType<typeof setInterval> | undefined;
  /** Set once what runs is to end: so are agents that are adopted later. */
  private stopGraceMs: number | undefined;
  private ending = false;
  private allEnded: () => void = () => undefined;

  constructor(
    private readonly options: HybridOptions,
    private readonly events: SwarmEvents,
  ) {
    const { bus, teams } = options;
    teams.forEach((workers, n) => {
      const id = `c${n + 1}`;
      const liveness = new Liveness(bus.info.dir, id);
      this.places.set(id, {
        id,
        workers,
        backoff: new Backoff(),
        liveness,
        pid: 0,
        epoch: 0,
        fenced: undefined,
        owes: new Map(),
        legacy: undefined,
      });
    });
    this.coordinators = [...this.places.keys()];
    const registered = bus.register({ id: masterId, role: "master" });
    if (registered.status !== "registered") throw new CfnError("unavailable", `cannot register ${masterId} on the bus`);
    this.inbox = new Inbox(bus, masterId);
    this.bell = bus.bell();
    this.bell.arm(masterId, "control");
    this.outbox = new Postbox(bus, ({ msgId, draft }) => {
      if (draft.type !== "tasks") return;
      const owes = this.places.get(draft.to)?.owes;
      (draft.payload as unknown as readonly TaskPayload[]).forEach(({ seq }, n) => {
        const id = entryId(msgId, n);
        this.tally.taskSent(id);
        owes?.set(seq, id);
      });
    });
    this.fostering = options.openFostering((result) => {
      this.events.onEvent({ type: "result", result });
      this.events.onWake();
    });
  }

  get mesh(): DeliveryCounts {
    return this.tally.delivery();
  }

  get hierarchical(): DeliveryCounts {
    return addDeliveries([...this.bequeathed, ...[...this.byes.values()].map((bye) => bye.hierarchical)]);
  }

  start(): void {
    keepExits();
    this.bell.listen(this.events.onWake);
    for (const place of this.places.values()) this.fill(place);
    this.looking = setInterval(() => this.look(), limits.coordinatorLookMs);
  }

  dispatch(coordinator: string, tasks: readonly TaskPayload[]): void {
    const { epoch } = this.placeOf(coordinator);
    const meant = tasks.map((task) => ({ ...task, epoch }));
    for (const bundle of bundlesOf(meant, taskChars)) this.post(coordinator, "tasks", bundle as unknown as Json);
    this.outbox.flush();
  }

  turn(): boolean {
    const some = this.inbox.take((message) => this.handle(message));
    if (this.outbox.size > 0 && !this.outbox.flush()) setTimeout(this.events.onWake, limits.fullRetryMs);
    return some;
  }

  drain(): void {
    this.stopAll({ grace_ms: 0, finish: true });
  }

  stop(graceMs: number): void {
    this.stopGraceMs = Math.min(graceMs, this.stopGraceMs ?? graceMs);
    this.stopAll({ grace_ms: graceMs });
    globalThis.crashPoint?.("hybrid.stopping");
    this.fostering.stop(graceMs);
  }

  adopt(coordinator: string, task: TaskPayload): void {
    const place = this.placeOf(coordinator);
    const { seq, attempt } = task;
    if (place.legacy?.handOver(task, this.fostering) !== true)
      this.events.onEvent({ type: "untraced", attempt: { seq, attempt } });
  }

  async end(): Promise<void> {
    this.ending = true;
    clearInterval(this.looking);
    const ended = new Promise<void>((resolve) => {
      this.allEnded = resolve;
    });
    this.stopAll({ grace_ms: 0 });
    // One that does not end by itself is ended: nothing it leads is still needed.
    const kill = setTimeout(() => {
      for (const { pid } of this.living) signalGroup(pid, SIGKILL);
    }, limits.coordinatorEndMs);
    globalThis.crashPoint?.("hybrid.ending");
    if (this.living.length > 0) await ended;
    clearTimeout(kill);
    this.bell.close();
    this.inbox.release();
    this.options.bus.unregister(masterId);
  }

  private get living(): Place[] {
    return [...this.places.values()].filter(({ pid }) => pid > 0);
  }

  private placeOf(id: string): Place {
    return this.places.get(id) as Place;
  }

  /** Starts a process for the place. */
  private fill(place: Place): void {
    const { id, workers, backoff, liveness } = place;
    const spawned = this.options.startCoordinator(id, workers);
    backoff.tried(monotonicMs());
    place.fenced = undefined;
    if (spawned.status === "started") {
      place.pid = spawned.pid;
      globalThis.crashPoint?.("hybrid.started");
      liveness.begin(spawned.pid);
      watchChild(spawned.pid, (exit) => this.exited(place, exit), true);
      return;
    }
    this.options.onWarning(`coordinator ${id} did not start: ${spawned.detail}`);
    this.lose(place, spawned.detail, []);
  }

  private stopAll(payload: StopPayload): void {
    for (const { id, epoch } of this.living) this.post(id, "stop", { ...payload, epoch } as unknown as Json);
    this.outbox.flush();
  }

  private post(to: string, type: string, payload: Json): void {
    this.outbox.add({ from: masterId, to, type, payload, runId: this.options.runId, chain: "control" });
  }

  private handle(message: Message): void {
    const { from, payload } = message;
    if (message.type === "stop" && isStopRequest(payload)) this.events.onStop(payload.grace_ms);
    else if (message.type === "look" && isLook(payload)) this.fostering.end(payload.agent, payload.grace_ms);
    const place = this.places.get(from);
    if (place === undefined) return;
    if (message.type === "hello" && isHello(payload)) {
      place.epoch = payload.epoch;
      const { workers, exhausted = false } = payload;
      this.events.onEvent({ type: "hello", coordinator: from, workers, exhausted });
      // It came while the run was ending, and was not told.
      if (this.ending) this.stopAll({ grace_ms: 0 });
    } else if (message.type === "results" && Array.isArray(payload)) {
      if (!this.tally.isNew(from, message.sequence, payload.length)) return;
      for (const answer of payload) this.answered(place, answer);
    } else if (message.type === "back" && isBack(payload)) {
      if (payload.epoch !== place.epoch) return;
      this.tally.withdraw(place.owes.get(payload.seq) ?? "", true);
      place.owes.delete(payload.seq);
      this.events.onEvent({ type: "untraced", attempt: { seq: payload.seq, attempt: payload.attempt } });
    } else if (message.type === "bye" && isBye(payload)) {
      this.byes.set(from, payload);
      this.peakRssBytes += payload.peak_rss_bytes;
      this.openFdsMax = Math.max(this.openFdsMax, payload.open_fds_max);
    }
  }

  private answered(place: Place, answer: unknown): void {
    if (!isAnswer(answer) || !this.tally.answered(answer.task)) return;
    const { result } = answer;
    // What an old epoch says is refused: its tasks have been given to others.
    if (result.epoch !== place.epoch) return;
    place.owes.delete(result.seq);
    this.events.onEvent({ type: "result", result });
  }

  private exited(place: Place, exit: Exit): void {
    place.pid = 0;
    // What it sent before it ended counts.
    while (this.inbox.take((message) => this.handle(message)));
    if (!this.byes.has(place.id)) {
      const how = place.fenced ?? (exit.signal > 0 ? `killed by signal ${exit.signal}` : `exit status ${exit.code}`);
      this.takeOver(place, how, place.fenced !== undefined ? "hung" : exit.signal > 0 ? "killed" : "exited");
    }
    this.events.onWake();
    if (this.living.length === 0) this.allEnded();
  }

  /** What its agents run is seen to its end, what it had not begun goes to others, and another may take its place. */
  private takeOver(place: Place, how: string, cause: Failover["cause"]): void {
    const { bus } = this.options;
    const legacy = new Legacy(bus, place.id, place.epoch);
    place.legacy = legacy;
    for (const result of legacy.results) {
      this.tally.withdraw(place.owes.get(result.seq) ?? "", true);
      place.owes.delete(result.seq);
      this.events.onEvent({ type: "result", result });
    }
    const owed = place.owes.size;
    const begun = new Set(legacy.held.map(({ seq }) => seq));
    const detail = `coordinator ${place.id} died (${how})`;
    this.lose(place, detail, legacy.held);
    const adopted = legacy.adopted;
    if (this.stopGraceMs !== undefined) this.fostering.stop(this.stopGraceMs);
    legacy.endRest();
    for (const [seq, msgId] of place.owes) this.tally.withdraw(msgId, begun.has(seq));
    place.owes.clear();
    this.bequeathed.push(legacy.counts);
    globalThis.crashPoint?.("takeover.done");
    place.legacy = undefined;
    const reassigned = Math.max(0, owed - adopted);
    const at = unixSeconds();
    this.events.onFailover({ coordinator: place.id, epoch: place.epoch, cause, at, adopted, reassigned });
    if (!this.ending) {
      this.options.onWarning(`${detail}: ${adopted} of its agents run on, ${reassigned} tasks are given to others`);
    }
  }

  private lose(place: Place, detail: string, held: Legacy["held"]): void {
    const returns = !this.ending && place.backoff.failed(monotonicMs());
    if (!returns && !this.ending) {
      this.options.onWarning(`coordinator ${place.id} is given up: ${place.backoff.verdict}; last: ${detail}`);
    }
    this.events.onEvent({ type: "lost", coordinator: place.id, detail, held, returns });
  }

  /** Who hangs is ended; who is due to come back and has something to do does. */
  private look(): void {
    const now = monotonicMs();
    for (const place of this.places.values()) {
      if (place.pid === 0) {
        if (place.backoff.isDue(now) && this.events.wantsTeams()) this.fill(place);
        continue;
      }
      const why = place.fenced === undefined && !this.byes.has(place.id) ? place.liveness.verdict(now) : undefined;
      if (why === undefined) continue;
      // First nothing of it is accepted any more, then it is ended: its exit is what makes us take over.
      place.fenced = why;
      this.options.bus.supersede(place.id);
      signalGroup(place.pid, SIGKILL);
    }
  }
}
