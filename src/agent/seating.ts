/** Taking up seats on the bus: all of them or none. */
import type { Bus, Lease, Registered } from "../bus/contract.ts";
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
  const registered = bus.registerAll(ids.map((id) => ({ id, role: "worker", team: lead })));
  const seats = new Map<string, Seat>();
  try {
    ids.forEach((id, n) => {
      const lease = leaseOf(bus, id, registered[n] as Registered);
      seats.set(id, new Seat(id, lease, states));
      states.open(id);
    });
  } catch (error) {
    for (const seat of seats.values()) leaveSeat(bus, seat, states);
    ids.forEach((id, n) => {
      if (!seats.has(id) && registered[n]?.status === "registered") bus.unregister(id);
    });
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

function leaseOf(bus: Bus, id: string, registered: Registered): Lease {
  if (registered.status === "full") throw new CfnError("try_again", `no room for agent ${id}: ${registered.limit}`);
  if (registered.status === "taken") throw taken(id, registered.hostPid);
  const lease = bus.lease(id, "control");
  if (lease === undefined) throw taken(id, 0);
  return lease;
}

const taken = (id: string, pid: number): CfnError =>
  new CfnError(
    "cannot_create",
    `agent ${id} is already there${pid > 0 ? `, hosted by process ${pid}` : ""}`,
    "choose another id, or end that process",
  );
