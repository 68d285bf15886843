/** What a simulated process runs: the entry point of the woven bundle (`bundle.ts`). */
export { countFaults } from "../../src/bus/audit.ts";
export { openBus } from "../../src/bus/bus.ts";
export { createBus } from "../../src/bus/creation.ts";
export * as layout from "../../src/bus/layout.ts";
export { arePairsSound } from "../../src/bus/pairs.ts";
export { rebuildShard } from "../../src/bus/rebuild.ts";
export { isHeaderSealed } from "../../src/bus/seals.ts";
export { clean, dirty, withShard } from "../../src/bus/shard.ts";
