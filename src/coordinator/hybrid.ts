/** The hybrid swarm: the master leads K coordinators, `c1`…, each a process of its own with its team of workers. */
import type { Bell, Bus } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Json, Message } from "../message/message.ts";
import type { ByePayload, StopPayload, TaskPayload } from "../message/protocol.ts";
import { endDescendants } from "../os/descendants.ts";
import { type Exit, watchChild } from "../os/reap.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import type { Spawned } from "../os/spawn.ts";
import { isBye, isResult } from "./payload.ts";
import { Inbox, Postbox } from "./post.ts";
import type { Swarm, SwarmEvents } from "./swarm.ts";
import { addDeliveries, type DeliveryCounts, Tally } from "./tally.ts";

export const masterId = "master";

export interface HybridOptions {
  readonly bus: Bus;
  readonly runId: string;
  /** Workers of each coordinator. */
  readonly teams: readonly number[];
  /** Starts the process of a coordinator. */
  readonly startCoordinator: (id: string, workers: number) => Spawned;
  readonly onWarning: (text: string) => void;
}

export class HybridSwarm implements Swarm {
  readonly coordinators: readonly string[];
  peakRssBytes = 0;
  openFdsMax = 0;
  private readonly tally = new Tally();
  private readonly inbox: Inbox;
  private readonly outbox: Postbox;
  private readonly bell: Bell;
  /** Pids of those that live. */
  private readonly living = new Map<string, number>();
  private readonly byes = new Map<string, ByePayload>();
  private allEnded: () => void = () => undefined;

  constructor(
    private readonly options: HybridOptions,
    private readonly events: SwarmEvents,
  ) {
    const { bus, teams } = options;
    this.coordinators = teams.map((_, n) => `c${n + 1}`);
    const registered = bus.register({ id: masterId, role: "master" });
    if (registered.status !== "registered") throw new CfnError("unavailable", `cannot register ${masterId} on the bus`);
    this.inbox = new Inbox(bus, masterId);
    this.bell = bus.bell();
    this.bell.arm(masterId, "control");
    this.outbox = new Postbox(bus, ({ msgId, draft }) => {
      if (draft.type === "task") this.tally.taskSent(msgId);
    });
  }

  get mesh(): DeliveryCounts {
    return this.tally.delivery();
  }

  get hierarchical(): DeliveryCounts {
    return addDeliveries([...this.byes.values()].map((bye) => bye.hierarchical));
  }

  start(): void {
    this.bell.listen(this.events.onWake);
    this.coordinators.forEach((id, n) => {
      const spawned = this.options.startCoordinator(id, this.options.teams[n] as number);
      if (spawned.status !== "started") {
        this.options.onWarning(`coordinator ${id} did not start: ${spawned.detail}`);
        this.events.onEvent({ type: "lost", coordinator: id, detail: spawned.detail });
        return;
      }
      this.living.set(id, spawned.pid);
      globalThis.crashPoint?.("hybrid.started");
      watchChild(spawned.pid, (exit) => this.exited(id, exit), true);
    });
  }

  dispatch(coordinator: string, tasks: readonly TaskPayload[]): void {
    for (const task of tasks) this.post(coordinator, "task", task as unknown as Json);
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
    this.stopAll({ grace_ms: graceMs });
  }

  async end(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.allEnded = resolve;
    });
    this.stopAll({ grace_ms: 0 });
    // One that does not end by itself is ended: nothing it leads is still needed.
    const kill = setTimeout(() => {
      for (const pid of this.living.values()) signalGroup(pid, SIGKILL);
    }, limits.coordinatorEndMs);
    globalThis.crashPoint?.("hybrid.ending");
    if (this.living.size > 0) await ended;
    clearTimeout(kill);
    this.bell.close();
    this.inbox.release();
    this.options.bus.unregister(masterId);
  }

  private stopAll(payload: StopPayload): void {
    for (const id of this.living.keys()) this.post(id, "stop", payload as unknown as Json);
    this.outbox.flush();
  }

  private post(to: string, type: string, payload: Json): void {
    this.outbox.add({ from: masterId, to, type, payload, runId: this.options.runId, chain: "control" });
  }

  private handle(message: Message): void {
    const { from, payload } = message;
    if (message.type === "hello") this.events.onEvent({ type: "hello", coordinator: from });
    else if (message.type === "result") {
      if (!this.tally.resultReceived(from, message.sequence, message.reply_to)) return;
      const result: unknown = payload;
      if (isResult(result)) this.events.onEvent({ type: "result", result });
    } else if (message.type === "bye" && isBye(payload)) {
      this.byes.set(from, payload);
      this.peakRssBytes += payload.peak_rss_bytes;
      this.openFdsMax = Math.max(this.openFdsMax, payload.open_fds_max);
    }
  }

  private exited(id: string, exit: Exit): void {
    this.living.delete(id);
    // What it sent before it ended counts.
    while (this.inbox.take((message) => this.handle(message)));
    if (!this.byes.has(id)) {
      const how = exit.signal > 0 ? `killed by signal ${exit.signal}` : `exit status ${exit.code}`;
      const detail = `coordinator ${id} died (${how})`;
      this.options.onWarning(`${detail}; its agents are ended, its tasks are retried where --retries allows`);
      endDescendants(limits.endWaitMs, [...this.living.values()]);
      this.events.onEvent({ type: "lost", coordinator: id, detail });
    }
    this.events.onWake();
    if (this.living.size === 0) this.allEnded();
  }
}
