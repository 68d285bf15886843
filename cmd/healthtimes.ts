import type { HealthTimes } from "../src/agent/sampler.ts";
import { limits } from "../src/limits.ts";

/** How often hosts look at what their agents do. */
export const healthTimes: HealthTimes = {
  intervalMs: limits.healthIntervalMs,
  stalledAfterMs: limits.stalledAfterMs,
};
