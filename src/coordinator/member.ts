/**
 * A coordinator of a hybrid swarm: takes tasks from the master, leads its team, sends the results back. Its life:
 * hello → tasks and results → stop → results of what was ended → bye.
 */
import type { Bell, Bus } from "../bus/contract.ts";
import { limits } from "../limits.ts";
import type { Json, Message } from "../message/message.ts";
import type { ByePayload, HelloPayload, ResultPayload } from "../message/protocol.ts";
import { nextTurn } from "../os/stream.ts";
import { openDescriptors, peakRssBytes } from "../os/usage.ts";
import { cancelledUnbegun } from "./outcome.ts";
import { isStop, isTask } from "./payload.ts";
import { Inbox, Postbox } from "./post.ts";
import { type Hosting, type OpenHost, Team } from "./team.ts";

export interface MemberOptions {
  readonly bus: Bus;
  readonly id: string;
  readonly master: string;
  readonly runId: string;
  readonly seats: readonly string[];
  readonly openHost: OpenHost;
}

export class Member {
  private readonly team: Team;
  private readonly inbox: Inbox;
  private readonly outbox: Postbox;
  private readonly host: Hosting;
  private readonly bell: Bell;
  /** By which message each task came: its result names it. */
  private readonly taskMsgIds = new Map<number, string>();
  private stopping = false;
  private fdsMax = 0;
  private turning = false;
  private ended: () => void = () => undefined;

  constructor(private readonly options: MemberOptions) {
    const { bus, id, runId, seats } = options;
    bus.register({ id, role: "coordinator", team: options.master });
    globalThis.crashPoint?.("member.registered");
    this.inbox = new Inbox(bus, id);
    this.bell = bus.bell();
    this.bell.arm(id, "control");
    this.outbox = new Postbox(bus);
    // Before the seats are taken: the master makes the first tasks ready meanwhile.
    const hello: HelloPayload = { pid: process.pid, workers: seats.length };
    this.post("hello", hello as unknown as Json);
    this.outbox.flush();
    this.team = new Team({ bus, id, runId, seats, onResult: (result) => this.passOn(result) });
    this.host = options.openHost({ lead: id, seats, onResults: () => void this.turn() });
    this.team.serveBy(this.host);
    globalThis.crashPoint?.("member.open");
  }

  /** Resolves after `bye`, when nothing of this coordinator is left on the bus. */
  async run(): Promise<void> {
    this.bell.listen(() => void this.turn());
    const tick = setInterval(() => void this.turn(), limits.pollMs);
    const over = new Promise<void>((resolve) => {
      this.ended = resolve;
    });
    void this.turn();
    await over;
    clearInterval(tick);
    this.bell.close();
    this.inbox.release();
    this.options.bus.unregister(this.options.id);
    globalThis.crashPoint?.("member.left");
  }

  /** The master is gone: ends the agents. Nobody reads results any more, so nothing else is waited for. */
  async abandon(graceMs: number): Promise<void> {
    this.cancelQueued();
    await this.host.stop(graceMs);
  }

  private stop(graceMs: number): void {
    this.cancelQueued();
    void this.host.stop(graceMs).then(() => this.turn());
    this.stopping = true;
    globalThis.crashPoint?.("member.stopping");
  }

  private async turn(): Promise<void> {
    if (this.turning) return;
    this.turning = true;
    while (this.inbox.take((message) => this.handle(message))) {
      this.team.assign();
      this.outbox.flush();
      await nextTurn();
    }
    this.team.assign();
    const sent = this.outbox.flush();
    this.turning = false;
    if (!sent) setTimeout(() => void this.turn(), limits.fullRetryMs);
    if (this.stopping && sent && this.team.load === 0) this.end();
  }

  private handle(message: Message): void {
    const { payload } = message;
    if (message.type === "result") this.team.received(message);
    else if (message.from !== this.options.master) return;
    else if (message.type === "task" && isTask(payload)) {
      this.taskMsgIds.set(payload.seq, message.msg_id);
      this.team.give(payload);
    } else if (message.type === "stop" && isStop(payload)) {
      this.fdsMax = Math.max(this.fdsMax, openDescriptors());
      if (payload.finish === true) this.cancelQueued();
      else this.stop(payload.grace_ms);
    }
  }

  private cancelQueued(): void {
    for (const task of this.team.takeQueued()) this.passOn(cancelledUnbegun(task));
  }

  private passOn(result: ResultPayload): void {
    const replyTo = this.taskMsgIds.get(result.seq);
    this.taskMsgIds.delete(result.seq);
    this.post("result", result as unknown as Json, replyTo);
  }

  private post(type: string, payload: Json, replyTo?: string): void {
    const { id: from, master: to, runId } = this.options;
    this.outbox.add({
      from,
      to,
      type,
      payload,
      runId,
      chain: "control",
      ...(replyTo === undefined ? {} : { replyTo }),
    });
  }

  private end(): void {
    this.stopping = false;
    this.host.close();
    const bye: ByePayload = {
      hierarchical: this.team.tally.delivery(),
      peak_rss_bytes: peakRssBytes(),
      open_fds_max: Math.max(this.fdsMax, openDescriptors()),
    };
    globalThis.crashPoint?.("member.closed");
    this.post("bye", bye as unknown as Json);
    globalThis.crashPoint?.("member.bye");
    const leave = (): void => {
      if (this.outbox.flush()) this.ended();
      else setTimeout(leave, limits.pollMs);
    };
    leave();
  }
}
