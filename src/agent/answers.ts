/**
 * How a host answers for its tasks: results that come in one turn of the loop go as one batch, what the bus does not take is offered
 * again, and only when a result is on the bus is its task taken off it.
 */
import { limits } from "../limits.ts";
import { spoolPath, type TaskPayload } from "../message/protocol.ts";
import type { HostOptions } from "./contract.ts";
import type { Ending } from "./ending.ts";
import type { Times } from "./execution.ts";
import { fileBytes } from "./flood.ts";
import type { Mail } from "./mailbox.ts";
import { Outbox } from "./outbox.ts";
import { resultOf } from "./result.ts";
import type { Seat } from "./seat.ts";

type AnswersOptions = Pick<HostOptions, "bus" | "lead" | "runId" | "spool" | "outputBytesMax" | "onWarning">;

interface AnswersEvents {
  /** Tasks of these seats have been answered and taken off the bus. */
  readonly onSettled: (seats: readonly Seat[]) => void;
  /** After `onSettled`: results were offered to the bus, and so many accepted. */
  readonly onSent: (accepted: number) => void;
}

export class Answers {
  readonly #options: AnswersOptions;
  readonly #events: AnswersEvents;
  readonly #outbox: Outbox;
  /** Seats whose results have been accepted just now. */
  readonly #answered = new Set<Seat>();
  #flushing = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(options: AnswersOptions, events: AnswersEvents) {
    const { bus, lead, runId } = options;
    this.#options = options;
    this.#events = events;
    this.#outbox = new Outbox(bus, lead, runId, (text) => options.onWarning?.(text));
  }

  /** Results that are not on the bus yet. */
  get waiting(): number {
    return this.#outbox.length;
  }

  /** What became of a task that had come to this seat. */
  report(seat: Seat, mail: Mail, task: TaskPayload, ending: Ending, times: Times): void {
    const { spool, outputBytesMax } = this.#options;
    const ran = ending.reason !== "not_started";
    const sizes = {
      out: ran ? fileBytes(spoolPath(spool, task.seq, task.attempt, "out")) : 0,
      err: ran ? fileBytes(spoolPath(spool, task.seq, task.attempt, "err")) : 0,
    };
    const result = resultOf(seat.id, task, ending, times, sizes, outputBytesMax);
    globalThis.crashPoint?.("result.made");
    this.#outbox.add({ from: seat.id, result, replyTo: mail.msgId, onAccepted: () => this.#accepted(seat, mail) });
    this.flushSoon();
  }

  /** At the end of this turn of the loop. */
  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  /** Sends what the bus takes now, and the rest later. */
  flush(): void {
    if (this.#outbox.length === 0) return;
    clearTimeout(this.#retry);
    const accepted = this.#outbox.send();
    this.#settle();
    if (this.#outbox.length > 0) this.#retry = setTimeout(() => this.flush(), limits.resultRetryMs);
    this.#events.onSent(accepted);
  }

  /** The result is on the bus: the task is done with. */
  #accepted(seat: Seat, mail: Mail): void {
    mail.status = "settled";
    if (seat.running?.mail === mail) seat.running = undefined;
    if (seat.running === undefined && seat.retired) seat.meet("stopped");
    this.#answered.add(seat);
  }

  /** Takes the tasks off the bus whose results are on it. */
  #settle(): void {
    const seats = [...this.#answered];
    this.#answered.clear();
    const settled = seats.map((seat) => ({ seat, count: seat.mailbox.dropSettled() }));
    const some = settled.filter(({ count }) => count > 0);
    const left = this.#options.bus.ackAll(
      some.map(({ seat }) => seat.lease),
      some.map(({ count }) => count),
    );
    for (const { seat, count } of left.flatMap((n) => some[n] ?? [])) seat.owe(count);
    globalThis.crashPoint?.("result.settled");
    this.#events.onSettled(seats);
  }
}
