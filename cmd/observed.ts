/** Which bus the commands that look on mean. */
import { type Env, locateBus, locateRun } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import { Observer } from "../src/observe/observer.ts";
import type { RunView } from "../src/observe/runview.ts";
import { settledLook } from "../src/observe/settled.ts";
import { runId } from "./values.ts";

export const runArgument = {
  type: "positional",
  required: false,
  description: "its id or its beginning (the run that is alone)",
  value: runId,
} as const;

interface Asked {
  readonly run?: string | undefined;
  readonly bus?: string | undefined;
}

/** Throws CfnError not_found for a run that is not under way, unavailable where there is no bus. */
export function busAsked({ run, bus }: Asked, env: Env): string {
  if (run !== undefined) return locateRun(env, run);
  if (bus !== undefined) return bus;
  try {
    return locateBus(env);
  } catch (error) {
    if (!(error instanceof CfnError && error.code === "not_found")) throw error;
    throw new CfnError("unavailable", error.message, error.remedy);
  }
}

/** One look at all that is there. Throws CfnError("unavailable") where the bus goes away meanwhile. */
export async function lookOnce(busDir: string): Promise<RunView> {
  const observer = new Observer(busDir);
  const view = await settledLook(() => observer.look(true));
  if (view === undefined) throw new CfnError("unavailable", `the bus ${busDir} is gone: its run has just ended`);
  return view;
}
