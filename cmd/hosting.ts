/** Puts a coordinator and the host of its agents together: neither knows the other. */
import { createHost } from "../src/agent/host.ts";
import type { Bus } from "../src/bus/contract.ts";
import type { Env } from "../src/bus/directory.ts";
import type { OpenHost } from "../src/coordinator/team.ts";
import { limits } from "../src/limits.ts";
import { say } from "./log.ts";

export function hosting(bus: Bus, runId: string, spool: string, env: Env): OpenHost {
  return ({ lead, seats, onResults }) =>
    createHost({
      bus,
      lead,
      runId,
      spool,
      seats,
      env,
      outputBytesMax: limits.outputBytes,
      killGraceMs: limits.killGraceMs,
      onResults,
      onWarning: (text) => void say("warn", text),
    });
}

/** These change how a compiled Bun binary starts; agents get them back under their own names. */
const BUN_VARIABLES = ["BUN_OPTIONS", "BUN_BE_BUN"];
const KEPT = "CFN_KEPT_";

/** The environment of a coordinator's process. */
export function coordinatorEnvironment(env: Env): Record<string, string | undefined> {
  const changed: Record<string, string | undefined> = { ...env };
  for (const name of BUN_VARIABLES) {
    delete changed[name];
    changed[KEPT + name] = env[name];
  }
  return changed;
}

/** What that coordinator's agents inherit: the environment that the master was given. */
export function agentEnvironment(env: Env): Record<string, string | undefined> {
  const changed: Record<string, string | undefined> = { ...env };
  for (const name of BUN_VARIABLES) {
    changed[name] = env[KEPT + name];
    delete changed[KEPT + name];
  }
  return changed;
}
