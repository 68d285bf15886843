/**
 * A coordinator of a hybrid swarm: takes tasks from the master, leads its team, sends the results back. Its life:
 * hello → tasks and results → stop → results of what was ended → bye.
 *
 * It may die at any moment. What it has taken off its inbox and not answered is in its roster (`bus/roster.ts`) or is still
 * the master's to give anew: a result is taken off only when it has been passed on. Its epoch is its id's incarnation on the bus:
 * once the master has raised that, this process is not meant any more, and ends at its next look without touching its agents.
 */
import type { Bell, Bus } from "../bus/contract.ts";
import { makeRoster, type Roster } from "../bus/roster.ts";
import { limits } from "../limits.ts";
import type { Json, Message } from "../message/message.ts";
import type { Answer, BackPayload, ByePayload, HelloPayload, ResultPayload } from "../message/protocol.ts";
import { nextTurn } from "../os/stream.ts";
import { openDescriptors, peakRssBytes } from "../os/usage.ts";
import { bundlesOf, entryId, resultChars } from "./bundle.ts";
import { cancelledUnbegun } from "./outcome.ts";
import { isLook, isStop, isTask } from "./payload.ts";
import { Inbox, Postbox } from "./post.ts";
import type { DeliveryCounts } from "./tally.ts";
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
  /** Which of the processes that have led this team it is, from 1. */
  readonly epoch: number;
  private readonly team: Team;
  private readonly inbox: Inbox;
  private readonly outbox: Postbox;
  private readonly host: Hosting;
  private readonly bell: Bell;
  private readonly roster: Roster;
  /** By which id each task came: its result names it. */
  private readonly taskIds = new Map<number, string>();
  /** Results for the master since the last flush. */
  private answers: Answer[] = [];
  /** Messages read, and not yet taken off the bus. */
  private unpassed = 0;
  private stopping = false;
  private fdsMax = 0;
  private turning = false;
  /** The bus may be closed. */
  private over = false;
  private ended: (how: "done" | "superseded") => void = () => undefined;

  /** Throws CfnError where the bus has no room, or its inbox is somebody else's. */
  constructor(private readonly options: MemberOptions) {
    const { bus, id, runId, seats } = options;
    bus.register({ id, role: "coordinator", team: options.master });
    globalThis.crashPoint?.("member.registered");
    this.epoch = bus.incarnation(id);
    this.inbox = new Inbox(bus, id);
    this.bell = bus.bell();
    this.bell.arm(id, "control");
    this.outbox = new Postbox(bus);
    this.roster = makeRoster(bus.info.dir, id, this.epoch, seats.length);
    // Before the seats are taken: the master makes the first tasks ready meanwhile.
    if (this.epoch === 1) this.greet({ workers: seats.length });
    this.team = new Team({ bus, id, runId, onResult: (result) => this.passOn(result) });
    this.host = options.openHost({
      lead: id,
      seats,
      roster: this.roster,
      epoch: this.epoch,
      onResults: () => void this.turn(),
      onSeats: (more) => {
        this.team.seat(more);
        this.greetAgain();
      },
      onRetired: (seats) => {
        this.team.retire(seats);
        this.greetAgain();
        void this.turn();
      },
    });
    this.team.serveBy(this.host);
    if (this.epoch > 1) this.greetAgain();
    globalThis.crashPoint?.("member.open");
  }

  /** Tasks taken and not answered. */
  get load(): number {
    return this.team.load;
  }

  /** As counted here so far. */
  get hierarchical(): DeliveryCounts {
    return this.team.tally.delivery();
  }

  /** Resolves after `bye`, when nothing of this coordinator is left on the bus; or when another is meant now. */
  async run(): Promise<"done" | "superseded"> {
    this.bell.listen(() => void this.turn());
    const tick = setInterval(() => void this.turn(), limits.pollMs);
    const over = new Promise<"done" | "superseded">((resolve) => {
      this.ended = resolve;
    });
    void this.turn();
    const how = await over;
    this.over = true;
    clearInterval(tick);
    if (how === "superseded") return how;
    this.bell.close();
    this.inbox.release();
    this.options.bus.unregister(this.options.id);
    globalThis.crashPoint?.("member.left");
    return how;
  }

  /** The master is gone: ends the agents. Nobody reads results any more, and the bus may be gone too: nothing else is waited for. */
  async abandon(graceMs: number): Promise<void> {
    this.cancelQueued();
    const ended = this.host.stop(graceMs);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, graceMs + limits.endWaitMs))]);
  }

  private greetAgain(): void {
    const { seats, exhausted } = this.host;
    this.greet({ workers: seats.length, exhausted });
  }

  private greet(size: Pick<HelloPayload, "workers" | "exhausted">): void {
    const hello: HelloPayload = { pid: process.pid, epoch: this.epoch, ...size };
    this.post("hello", hello as unknown as Json);
    this.flush();
  }

  private stop(graceMs: number): void {
    this.cancelQueued();
    void this.host.stop(graceMs).then(() => this.turn());
    this.stopping = true;
    globalThis.crashPoint?.("member.stopping");
  }

  private async turn(): Promise<void> {
    if (this.turning || this.over) return;
    if (this.options.bus.incarnation(this.options.id) !== this.epoch) return this.ended("superseded");
    this.turning = true;
    let sent = this.pass();
    while (sent && !this.over) {
      const mail = this.inbox.read();
      if (mail.length === 0) break;
      this.unpassed = mail.length;
      for (const { message } of mail) this.handle(message);
      globalThis.crashPoint?.("member.handled");
      this.team.assign();
      this.giveBack();
      sent = this.pass();
      await nextTurn();
    }
    if (this.over) return;
    this.team.assign();
    this.giveBack();
    sent &&= this.flush();
    this.roster.count(this.team.tally.counts);
    this.turning = false;
    if (!sent) setTimeout(() => void this.turn(), limits.fullRetryMs);
    if (this.stopping && sent && this.team.load === 0) this.end();
  }

  /** Sends what waits, and takes off the bus the mail that it followed from. False if the bus has no room for it now. */
  private pass(): boolean {
    if (!this.flush()) return false;
    globalThis.crashPoint?.("member.passing");
    if (this.unpassed > 0) this.inbox.ack(this.unpassed);
    this.unpassed = 0;
    return true;
  }

  private handle(message: Message): void {
    const { payload } = message;
    if (message.type === "result") this.team.received(message);
    else if (message.type === "look" && isLook(payload)) this.host.look(payload.agent);
    else if (message.from !== this.options.master) return;
    else if (message.type === "tasks" && Array.isArray(payload)) {
      payload.forEach((task: unknown, n) => {
        // One for a predecessor: the master has given it to somebody else.
        if (!isTask(task) || task.epoch !== this.epoch) return;
        this.taskIds.set(task.seq, entryId(message.msg_id, n));
        this.team.give(task);
      });
    } else if (message.type === "stop" && isStop(payload)) {
      if (payload.epoch !== this.epoch) return;
      this.fdsMax = Math.max(this.fdsMax, openDescriptors());
      if (payload.finish === true) this.cancelQueued();
      else this.stop(payload.grace_ms);
    }
  }

  private cancelQueued(): void {
    for (const task of this.team.close()) this.passOn(cancelledUnbegun(task));
  }

  /** With no agent left what waits goes to other coordinators. */
  private giveBack(): void {
    if (!this.host.exhausted) return;
    for (const { seq, attempt } of this.team.takeQueued()) {
      const back: BackPayload = { seq, attempt, epoch: this.epoch };
      this.taskIds.delete(seq);
      this.post("back", back as unknown as Json);
    }
  }

  private passOn(result: ResultPayload): void {
    const task = this.taskIds.get(result.seq);
    this.taskIds.delete(result.seq);
    this.answers.push({ ...(task === undefined ? {} : { task }), result });
  }

  private post(type: string, payload: Json): void {
    const { id: from, master: to, runId } = this.options;
    this.outbox.add({ from, to, type, payload, runId, chain: "control" });
  }

  /** True if nothing waits to be sent any more. */
  private flush(): boolean {
    const { answers } = this;
    this.answers = [];
    const charsOf = ({ result }: Answer): number => resultChars(result);
    for (const bundle of bundlesOf(answers, charsOf)) this.post("results", bundle as unknown as Json);
    return this.outbox.flush();
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
    this.flush();
    this.post("bye", bye as unknown as Json);
    globalThis.crashPoint?.("member.bye");
    const leave = (): void => {
      if (this.flush()) this.ended("done");
      else setTimeout(leave, limits.pollMs);
    };
    leave();
  }
}
