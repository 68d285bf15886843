/** Puts a coordinator and the host of its agents together: neither knows the other. */
import { createHost } from "../src/agent/host.ts";
import type { Bus } from "../src/bus/contract.ts";
import type { Env } from "../src/bus/directory.ts";
import type { OpenHost } from "../src/coordinator/team.ts";
import { limits } from "../src/limits.ts";
import type { Launcher } from "../src/os/launch.ts";
import { say } from "./log.ts";

/** `killGraceMs`: between TERM and KILL. */
export function hosting(
  bus: Bus,
  runId: string,
  spool: string,
  env: Env,
  killGraceMs: number,
  launcher: Launcher,
): OpenHost {
  return (request) =>
    createHost({
      ...request,
      bus,
      launcher,
      runId,
      spool,
      env,
      outputBytesMax: limits.outputBytes,
      killGraceMs,
      onWarning: (text) => void say("warn", text),
    });
}

/**
 * How the process of a coordinator starts. BUN_OPTIONS and BUN_BE_BUN change what a compiled binary does. The optimizing
 * compiler pays off after seconds and each of several short-lived processes would pay for it: without it a hybrid swarm
 * of 708 takes a third less CPU. Agents get these variables back as they were.
 */
const STARTUP: Readonly<Record<string, string | undefined>> = {
  BUN_OPTIONS: undefined,
  BUN_BE_BUN: undefined,
  BUN_JSC_useDFGJIT: "0",
};
const KEPT = "CFN_KEPT_";

/** The environment of a coordinator's process: the run's id in it is what the guardian knows it by. */
export function coordinatorEnvironment(env: Env, runId: string): Record<string, string | undefined> {
  const changed: Record<string, string | undefined> = { ...env, CFN_RUN_ID: runId };
  for (const [name, value] of Object.entries(STARTUP)) {
    changed[name] = value;
    changed[KEPT + name] = env[name];
  }
  return changed;
}

/** What that coordinator's agents inherit: the environment that the master was given. */
export function agentEnvironment(env: Env): Record<string, string | undefined> {
  const changed: Record<string, string | undefined> = { ...env };
  for (const name of Object.keys(STARTUP)) {
    changed[name] = env[KEPT + name];
    delete changed[KEPT + name];
  }
  return changed;
}
