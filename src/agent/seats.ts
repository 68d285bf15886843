/**
 * The seats of one host: registered when the host is made, opened when they are first needed, and awaited where a host that is to
 * end has them still. What is done at a seat is the host's.
 */
import { assert } from "../assert.ts";
import type { HostOptions } from "./contract.ts";
import type { Seat } from "./seat.ts";
import { openSeats, registerFreeSeats, registerSeats } from "./seating.ts";
import type { StateFiles } from "./states.ts";

type SeatsOptions = Pick<HostOptions, "bus" | "lead" | "epoch" | "seats">;

export class Seats {
  /** Of each id in the roster. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly #options: SeatsOptions;
  readonly #states: StateFiles;
  readonly #opened = new Map<string, Seat>();
  /** Registered, and not needed yet. */
  readonly #unopened: Set<string>;
  /** Hosted by somebody else still. */
  #awaited: readonly string[] = [];
  /** Where `next` has come to. */
  #round: Iterator<Seat> = this.#opened.values();

  /** Registers the ids. Throws CfnError("cannot_create") where, in the first epoch, a living process hosts one. */
  constructor(options: SeatsOptions, states: StateFiles) {
    this.#options = options;
    this.#states = states;
    this.numbers = new Map(options.seats.map((id, n) => [id, n]));
    this.#unopened = new Set(this.#register(options.seats));
  }

  /** Open or not. */
  has(id: string): boolean {
    return this.#opened.has(id) || this.#unopened.has(id);
  }

  /** The ids of those that take tasks, or will once they are open. */
  get taking(): readonly string[] {
    const taking: string[] = [];
    for (const { id, retired } of this.#opened.values()) if (!retired) taking.push(id);
    return [...taking, ...this.#unopened];
  }

  /** Whether none takes tasks, nor will. Asked in each turn of a host's lead: it looks no further than the first that does. */
  get takesNone(): boolean {
    if (this.#unopened.size > 0) return false;
    for (const { retired } of this.#opened.values()) if (!retired) return false;
    return true;
  }

  /** Whether somebody else hosts one still. */
  get awaits(): boolean {
    return this.#awaited.length > 0;
  }

  /** How many are not open yet. */
  get unopened(): number {
    return this.#unopened.size;
  }

  firstUnopened(count: number): string[] {
    return this.#unopened.values().take(count).toArray();
  }

  /** Those that are open. */
  opened(): Iterable<Seat> {
    return this.#opened.values();
  }

  /**
   * The seats of these ids, which it has; they are open from now on. Throws CfnError("cannot_create") where one cannot be, ("try_again")
   * where none of them could be just then.
   */
  of(ids: readonly string[]): Seat[] {
    const unopened = ids.filter((id) => this.#unopened.has(id));
    if (unopened.length > 0) {
      for (const seat of openSeats(this.#options.bus, unopened, this.#states)) {
        this.#opened.set(seat.id, seat);
        this.#unopened.delete(seat.id);
      }
    }
    return ids.map((id) => {
      const seat = this.#opened.get(id);
      assert(seat !== undefined, `${id} has a seat in this host`);
      return seat;
    });
  }

  /** Open ones, one after the other and round again with each call, at most `count`. */
  next(count: number): Seat[] {
    const seats: Seat[] = [];
    while (seats.length < Math.min(count, this.#opened.size)) {
      let step = this.#round.next();
      if (step.done === true) {
        this.#round = this.#opened.values();
        step = this.#round.next();
      }
      seats.push(step.value);
    }
    return seats;
  }

  /** Registers those awaited that have become free, and returns them. */
  takeAwaited(): readonly string[] {
    const free = this.#register(this.#awaited);
    for (const id of free) this.#unopened.add(id);
    return free;
  }

  #register(ids: readonly string[]): readonly string[] {
    const { bus, lead, epoch = 1 } = this.#options;
    if (epoch === 1) {
      registerSeats(bus, lead, ids);
      return ids;
    }
    const free = registerFreeSeats(bus, lead, ids);
    this.#awaited = ids.filter((id) => !free.includes(id));
    return free;
  }
}
