/**
 * What one seat has read of its control chain and not yet acknowledged. Acknowledging is possible only from the oldest on,
 * and a task is settled only when its result is on the bus, while a `cancel` behind it must be seen at once: so messages are
 * read ahead, settled in any order, and acknowledged as the settled ones become the oldest. Pure.
 */
import type { TaskPayload } from "../message/protocol.ts";

export interface Mail {
  /** Undefined for messages that need nothing but to be taken: cancel, stop, malformed ones. */
  readonly task: TaskPayload | undefined;
  /** Of the message: a result names the task message that was received, which is how its sender counts deliveries. */
  readonly msgId: string;
  /** `kept`: stays on the bus. */
  status: "waiting" | "taken" | "kept" | "settled";
}

export class Mailbox {
  readonly #mail: Mail[] = [];

  /** Messages read and not yet acknowledged. */
  get length(): number {
    return this.#mail.length;
  }

  add(task: TaskPayload | undefined, msgId = ""): void {
    this.#mail.push({ task, msgId, status: task === undefined ? "settled" : "waiting" });
  }

  /** A message that is to stay on the bus as long as nobody settles it. */
  keep(msgId: string): void {
    this.#mail.push({ task: undefined, msgId, status: "kept" });
  }

  /** Of whatever kind it is. */
  settleAll(): void {
    for (const mail of this.#mail) mail.status = "settled";
  }

  /** The oldest task that waits, which is then taken. */
  takeTask(): Mail | undefined {
    for (const mail of this.#mail) {
      if (mail.status !== "waiting") continue;
      mail.status = "taken";
      return mail;
    }
    return undefined;
  }

  /** Takes the waiting tasks of that id, or all. */
  takeWaiting(taskId?: string): Mail[] {
    const all = this.#mail.filter(
      (mail) => mail.status === "waiting" && (taskId === undefined || mail.task?.task_id === taskId),
    );
    for (const mail of all) mail.status = "taken";
    return all;
  }

  /** Forgets the settled messages that are the oldest and returns how many: acknowledge as many. */
  dropSettled(): number {
    let settled = 0;
    while (this.#mail[0]?.status === "settled") {
      this.#mail.shift();
      settled++;
    }
    return settled;
  }
}
