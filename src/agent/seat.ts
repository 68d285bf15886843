/** One agent's place in a host: its mail, the state that everyone can read, and what it runs now. */
import type { Delivery, Lease } from "../bus/contract.ts";
import { orLater } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Control, controlOf } from "./control.ts";
import type { Execution } from "./execution.ts";
import type { OutputFiles } from "./flood.ts";
import { type LifecycleEvent, type LifecycleState, nextState } from "./lifecycle.ts";
import { type Mail, Mailbox } from "./mailbox.ts";
import type { StateFiles } from "./states.ts";

export interface Running {
  readonly mail: Mail;
  readonly taskId: string;
  /** Of the seat in its host's roster. */
  readonly number: number;
  readonly execution: Execution;
  readonly files: OutputFiles;
}

export class Seat {
  readonly mailbox = new Mailbox();
  /** From the start of a task until the bus has accepted its result. */
  running: Running | undefined;
  /** Set by `stop`: tasks are no longer started, but answered. */
  stopped = false;
  /** It was stopped by itself, and takes no further task. */
  retired = false;
  /** Settled, and not taken off the bus yet. */
  #owed = 0;
  #state: LifecycleState = "SPAWNED";

  constructor(
    readonly id: string,
    readonly lease: Lease,
    readonly states: StateFiles,
  ) {}

  get state(): LifecycleState {
    return this.#state;
  }

  meet(event: LifecycleEvent): void {
    const next = nextState(this.#state, event);
    if (event === "assigned" || next !== this.#state) this.states.change(this.id, next, event === "assigned");
    this.#state = next;
  }

  /**
   * What has come since the last look, oldest first, at most `limits.mailAhead` messages. Nothing where the bus cannot be read just then:
   * the host looks again.
   */
  readMail(): Control[] {
    const known = this.mailbox.length;
    const read = orLater(() => {
      this.#pay();
      return this.lease.depth() <= known ? [] : this.lease.read(known + limits.mailAhead);
    });
    return read === undefined || read.length === 0 ? [] : this.keep(read.slice(known));
  }

  /** Whether all its mail is new. */
  get unread(): boolean {
    return this.mailbox.length === 0 && this.#owed === 0 && this.lease.depth() > 0;
  }

  /** Takes in what has been read and was not known. */
  keep(deliveries: readonly Delivery[]): Control[] {
    globalThis.crashPoint?.("task.read");
    return deliveries.map(({ message }) => {
      const control = controlOf(message);
      if (control.kind === "stop") this.mailbox.keep(message.msg_id);
      else this.mailbox.add(control.kind === "task" ? control.task : undefined, message.msg_id);
      return control;
    });
  }

  /** Takes what is settled off the bus; where that cannot be now, before it reads again. */
  settle(): void {
    this.owe(this.mailbox.dropSettled());
    orLater(() => this.#pay());
  }

  /** So many of its messages are settled and still on the bus. */
  owe(count: number): void {
    this.#owed += count;
  }

  #pay(): void {
    if (this.#owed > 0) this.lease.ack(this.#owed);
    this.#owed = 0;
  }
}
