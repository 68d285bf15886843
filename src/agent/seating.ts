/** Taking up seats on the bus: all of them or none. */
import type { Bus, Lease } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import { Seat } from "./seat.ts";
import type { StateFiles } from "./states.ts";

/** Throws CfnError("cannot_create") where another living process hosts an id, ("try_again") where the bus is full. */
export function takeSeats(
  bus: Bus,
  lead: string,
  ids: readonly string[],
  states: StateFiles,
): ReadonlyMap<string, Seat> {
  const seats = new Map<string, Seat>();
  try {
    for (const id of ids) {
      seats.set(id, new Seat(id, takeUp(bus, lead, id), states));
      states.open(id);
    }
  } catch (error) {
    for (const seat of seats.values()) leaveSeat(bus, seat, states);
    throw error;
  }
  return seats;
}

/** Unread messages stay for whoever takes the id next. */
export function leaveSeat(bus: Bus, seat: Seat, states: StateFiles): void {
  seat.lease.release();
  bus.unregister(seat.id);
  states.close(seat.id);
}

function takeUp(bus: Bus, lead: string, id: string): Lease {
  const registered = bus.register({ id, role: "worker", team: lead });
  if (registered.status === "full") throw new CfnError("try_again", `no room for agent ${id}: ${registered.limit}`);
  if (registered.status === "taken") throw taken(id, registered.hostPid);
  const lease = bus.lease(id, "control");
  if (lease !== undefined) return lease;
  bus.unregister(id);
  throw taken(id, 0);
}

const taken = (id: string, pid: number): CfnError =>
  new CfnError(
    "cannot_create",
    `agent ${id} is already there${pid > 0 ? `, hosted by process ${pid}` : ""}`,
    "choose another id, or end that process",
  );
