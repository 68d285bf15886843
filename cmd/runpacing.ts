/** The rate limit of a run's bus, by the load of the machine: looked at each second, on the run's own looks. */
import type { Bus } from "../src/bus/contract.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import { permittedPerSecond, pressureOf } from "../src/coordinator/pacing.ts";
import { limits } from "../src/limits.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { loadAverage, pressurePercent } from "../src/os/load.ts";
import { coreCount } from "../src/os/usage.ts";

/** `configured` messages a second of each sender while the load permits no more; none where it is 0. */
export function pacing(bus: Bus, configured: number): RunObserver[] {
  if (configured === 0) return [];
  let due = 0;
  let permitted = 0;
  const look = (): void => {
    const now = monotonicMs();
    if (now < due) return;
    due = now + limits.pacingMs;
    const before = permitted;
    permitted = permittedPerSecond(configured, pressureOf(pressurePercent(), loadAverage(), coreCount()));
    // Nothing need be said of no limit where none was.
    if (permitted > 0 || before > 0) bus.permit(permitted);
  };
  return [{ look }];
}
