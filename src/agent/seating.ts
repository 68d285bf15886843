/** Taking up seats on the bus. */
import type { Bus, Registered } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import { Seat } from "./seat.ts";
import type { StateFiles } from "./states.ts";

/**
 * Registers the ids, all of them or none. Throws CfnError("cannot_create") where another living process hosts one,
 * ("try_again") where the bus is full.
 */
export function registerSeats(bus: Bus, lead: string, ids: readonly string[]): void {
  const registered = bus.registerAll(ids.map((id) => ({ id, role: "worker", team: lead })));
  const refused = registered.findIndex(({ status }) => status !== "registered");
  if (refused < 0) return;
  ids.forEach((id, n) => {
    if (registered[n]?.status === "registered") bus.unregister(id);
  });
  throw refusal(ids[refused] as string, registered[refused] as Registered);
}

/** Registers those of the ids that are free, and returns them: others may still be hosted by whoever took their agents over. */
export function registerFreeSeats(bus: Bus, lead: string, ids: readonly string[]): string[] {
  const registered = bus.registerAll(ids.map((id) => ({ id, role: "worker", team: lead })));
  return ids.filter((_, n) => registered[n]?.status === "registered");
}

/**
 * The seats of ids that are registered: from now on their tasks are this process's. All are given back where one fails:
 * CfnError("cannot_create") where somebody else takes its control messages.
 */
export function openSeats(bus: Bus, ids: readonly string[], states: StateFiles): Seat[] {
  const leases = bus.leaseAll(ids, "control");
  globalThis.crashPoint?.("seat.leased");
  const seats = ids.flatMap((id, n) => {
    const lease = leases[n];
    return lease === undefined ? [] : new Seat(id, lease, states);
  });
  const missing = ids.find((_, n) => leases[n] === undefined);
  if (missing !== undefined) {
    for (const { lease } of seats) lease.release();
    for (const id of ids) bus.unregister(id);
    throw taken(missing, 0);
  }
  for (const { id } of seats) states.change(id, "SPAWNED");
  globalThis.crashPoint?.("seat.open");
  return seats;
}

/** Unread messages stay for whoever takes the id next. */
export function leaveSeat(bus: Bus, seat: Seat, states: StateFiles): void {
  seat.lease.release();
  globalThis.crashPoint?.("leave.released");
  bus.unregister(seat.id);
  globalThis.crashPoint?.("leave.unregistered");
  states.close(seat.id);
}

function refusal(id: string, registered: Registered): CfnError {
  if (registered.status === "taken") return taken(id, registered.hostPid);
  const limit = registered.status === "full" ? registered.limit : "";
  return new CfnError("try_again", `no room for agent ${id}: ${limit}`);
}

const taken = (id: string, pid: number): CfnError =>
  new CfnError(
    "cannot_create",
    `agent ${id} is already there${pid > 0 ? `, hosted by process ${pid}` : ""}`,
    "choose another id, or end that process",
  );
