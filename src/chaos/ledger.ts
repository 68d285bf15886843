/** The bus of chaos itself: its inboxes outlive every run, so that whatever was accepted can be counted at the end. */
import { openBus } from "../bus/bus.ts";
import type { Bus } from "../bus/contract.ts";
import { createBus } from "../bus/creation.ts";
import { destroyBus } from "../bus/removal.ts";
import { CfnError } from "../errors.ts";
import { monotonicMs } from "../os/clock.ts";
import { Reader } from "./inbox.ts";

/** Messages taken from one sink in one turn: the killer must not come late. */
const TURN = 256;

export class Ledger {
  private readonly bus: Bus;
  private readonly readers: Reader[];
  private readonly heldUntil = new Map<string, number>();

  /** @throws CfnError as `createBus` does */
  constructor(
    readonly busDir: string,
    private readonly dir: string,
    readonly sinks: readonly string[],
  ) {
    createBus(busDir);
    this.bus = openBus(busDir);
    this.readers = sinks.map((id) => this.host(id));
  }

  /** One turn of reading the sinks. */
  turn(): void {
    const now = monotonicMs();
    for (const reader of this.readers) if (now >= (this.heldUntil.get(reader.id) ?? 0)) reader.take(TURN);
  }

  /** Leaves a sink unread for so long. */
  hold(sink: string, forMs: number): void {
    this.heldUntil.set(sink, monotonicMs() + forMs);
  }

  /** Takes everything that is still there, the senders' inboxes too: nobody may be writing or reading any more. */
  drain(senders: readonly string[]): void {
    for (const id of senders) if (this.bus.has(id)) this.readers.push(this.host(id));
    for (const reader of this.readers) while (reader.take(Number.POSITIVE_INFINITY) > 0);
  }

  close(): void {
    for (const reader of this.readers) reader.close();
    this.bus.close();
    destroyBus(this.busDir);
  }

  private host(id: string): Reader {
    const registered = this.bus.register({ id, role: "guest" });
    if (registered.status !== "registered")
      throw new CfnError("unavailable", `cannot take over the inbox of ${id}: ${registered.status}`);
    return new Reader(this.bus, id, this.dir);
  }
}
