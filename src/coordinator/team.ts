/** One coordinator's team: tasks wait for a free seat, go to it as a message, and come back as a result message. */
import type { Bus } from "../bus/contract.ts";
import type { Roster } from "../bus/roster.ts";
import type { Json, Message } from "../message/message.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { isResult } from "./payload.ts";
import { Postbox } from "./post.ts";
import { Queue } from "./queue.ts";
import { Tally } from "./tally.ts";

/** What runs the seats' agents. `src/agent/host.ts` makes it; `cmd/` puts the two together. */
export interface Hosting {
  /** Tasks were published to these seats. */
  wake(seats: readonly string[]): void;
  /** Ends what runs; every task under way gets its result. */
  stop(graceMs: number): Promise<void>;
  close(): void;
  /** Those of the seats asked for that take tasks. */
  readonly seats: readonly string[];
  /** None takes any, and none will: each was stopped. */
  readonly exhausted: boolean;
  /** Something else has come for this seat: looks now, if it is served here. */
  look(seat: string): void;
}

interface HostingRequest {
  readonly lead: string;
  readonly seats: readonly string[];
  /** Where it is to be written what each seat runs. */
  readonly roster: Roster;
  /** Where somebody would take over from this process: which epoch's tasks are meant for it. */
  readonly epoch?: number;
  /** Seats that were not free at first are served from now on. */
  readonly onSeats?: (seats: readonly string[]) => void;
  /** Seats that were stopped one by one, and take no further task. */
  readonly onRetired: (seats: readonly string[]) => void;
  /** Results are in the lead's control inbox. */
  readonly onResults: () => void;
}

export type OpenHost = (request: HostingRequest) => Hosting;

export interface TeamOptions {
  readonly bus: Bus;
  readonly id: string;
  readonly runId: string;
  /** A result, once per task given. */
  readonly onResult: (result: ResultPayload) => void;
}

/** Messages of the first batch; each further one is twice as large. Agents start while the next batch is made ready. */
const FIRST_BURST = 16;

export class Team {
  readonly tally = new Tally();
  private readonly queue = new Queue<TaskPayload>(() => 0);
  /** Never used ones first, then the longest free: without a task list each seat gets one task. */
  private readonly free: Queue<string>;
  private readonly busy = new Map<string, TaskPayload>();
  private readonly retired = new Set<string>();
  /** Nothing that has not begun may begin. */
  private closed = false;
  private readonly outbox: Postbox;
  private host: Hosting | undefined;
  /** Seats that a task was published to since the host was told last. */
  private served: string[] = [];

  constructor(private readonly options: TeamOptions) {
    this.free = new Queue<string>(() => 0);
    this.outbox = new Postbox(options.bus, ({ msgId, draft }) => {
      this.tally.taskSent(msgId);
      this.served.push(draft.to);
    });
  }

  /** Before the first task. */
  serveBy(host: Hosting): void {
    this.host = host;
    this.seat(host.seats);
  }

  /** These seats take tasks from now on. */
  seat(seats: readonly string[]): void {
    for (const seat of seats) if (!this.retired.has(seat)) this.free.add(seat);
  }

  /** These take no further one. What such a seat refuses goes to another. */
  retire(seats: readonly string[]): void {
    for (const seat of seats) this.retired.add(seat);
    this.seat(this.free.takeAll());
  }

  /** Tasks given and not answered. */
  get load(): number {
    return this.queue.size + this.busy.size;
  }

  /** The next `assign` hands it to a seat. */
  give(task: TaskPayload): void {
    this.queue.add(task);
  }

  /** A `result` message from a seat. */
  received(message: Message): void {
    if (!this.tally.resultReceived(message.from, message.sequence, message.reply_to)) return;
    const result: unknown = message.payload;
    const task = this.busy.get(message.from);
    if (task === undefined || !isResult(result) || result.seq !== task.seq) return;
    this.busy.delete(message.from);
    this.seat([message.from]);
    // A task that met its seat's stop on the way was refused and has not begun.
    const refused = this.retired.has(message.from) && result.reason === "cancelled" && result.run_time_ms === 0;
    if (refused && !this.closed) this.give(task);
    else this.options.onResult(result);
  }

  /** Gives waiting tasks to free seats and repeats what the bus refused. Call it after `give` and `received`, once for many, and now and then. */
  assign(): void {
    for (let burst = FIRST_BURST; this.queue.size > 0 && this.free.size > 0; burst *= 2) {
      for (let n = 0; n < burst && this.queue.size > 0 && this.free.size > 0; n++) this.seatNext();
      this.flush();
    }
    if (this.outbox.size > 0) this.flush();
  }

  private seatNext(): void {
    const { id, runId } = this.options;
    const task = this.queue.take() as TaskPayload;
    const seat = this.free.take() as string;
    this.busy.set(seat, task);
    const payload = task as unknown as Json;
    this.outbox.add({ from: id, to: seat, type: "task", payload, runId, chain: "control" });
  }

  private flush(): void {
    this.outbox.flush();
    const { served } = this;
    this.served = [];
    this.host?.wake(served);
  }

  /** Takes back what no seat has been given, and gives no more: nothing else may begin. */
  close(): TaskPayload[] {
    this.closed = true;
    return this.takeQueued();
  }

  /** Takes back what no seat has been given. */
  takeQueued(): TaskPayload[] {
    return this.queue.takeAll();
  }
}
