/** A bus open in the test's own process, removed afterwards. */

import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { createBus } from "../../src/bus/creation.ts";
import type { BusBounds } from "../../src/bus/meta.ts";
import { destroyBus } from "../../src/bus/removal.ts";
import { withBusBase } from "./bus.ts";

export function withOpenBus<T>(use: (bus: Bus, dir: string) => T | Promise<T>, options: BusBounds = {}): Promise<T> {
  return withBusBase(async (base) => {
    const dir = `${base}/one`;
    createBus(dir, options);
    const bus = openBus(dir);
    try {
      return await use(bus, dir);
    } finally {
      bus.close();
      destroyBus(dir);
    }
  });
}
