/** Results on their way to the lead. None is dropped: what the bus does not accept now is offered again. */
import type { Bus } from "../bus/contract.ts";
import { type CfnError, isPassing } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Json } from "../message/message.ts";
import type { ResultPayload } from "../message/protocol.ts";

export interface Outgoing {
  readonly from: string;
  readonly result: ResultPayload;
  /** The task message that it answers. */
  readonly replyTo: string;
  /** Once the bus has accepted it. */
  readonly onAccepted: () => void;
}

export class Outbox {
  readonly #bus: Bus;
  readonly #lead: string;
  readonly #runId: string;
  readonly #warn: (text: string) => void;
  #waiting: Outgoing[] = [];
  /** One warning for each time that results begin to wait. */
  #warned = false;

  constructor(bus: Bus, lead: string, runId: string, warn: (text: string) => void) {
    this.#bus = bus;
    this.#lead = lead;
    this.#runId = runId;
    this.#warn = warn;
  }

  get length(): number {
    return this.#waiting.length;
  }

  add(outgoing: Outgoing): void {
    this.#waiting.push(outgoing);
  }

  /** Sends what the bus takes now; returns how many it accepted. */
  send(): number {
    let accepted = 0;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, limits.resultsPerBatch);
      const taken = this.#sendBatch(batch);
      this.#waiting.splice(0, taken);
      for (const { onAccepted } of batch.slice(0, taken)) onAccepted();
      accepted += taken;
      if (taken < batch.length) return accepted;
    }
    this.#warned = false;
    return accepted;
  }

  /** How many of them, from the first on, are on the bus. */
  #sendBatch(batch: readonly Outgoing[]): number {
    const drafts = batch.map(({ from, result, replyTo }) => ({
      from,
      to: this.#lead,
      type: "result",
      payload: result as unknown as Json,
      chain: "control" as const,
      runId: this.#runId,
      replyTo,
    }));
    globalThis.crashPoint?.("result.sending");
    try {
      const sent = this.#bus.sendBatch(drafts);
      globalThis.crashPoint?.("result.sent");
      const refused = sent.findIndex(({ status }) => status !== "accepted" && status !== "duplicate");
      if (refused === -1) return batch.length;
      const outcome = sent[refused];
      this.#warnOnce(
        outcome?.status === "full"
          ? `the ${outcome.what} is full (${outcome.limit})`
          : `${this.#lead} is not registered`,
      );
      return refused;
    } catch (error) {
      // Nothing was appended.
      if (!isPassing(error)) throw error;
      this.#warnOnce((error as CfnError).message);
      return 0;
    }
  }

  #warnOnce(why: string): void {
    if (!this.#warned) this.#warn(`results wait to be sent to ${this.#lead}: ${why}`);
    this.#warned = true;
  }
}
