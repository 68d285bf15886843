/** Waiting until what was asked to end has ended. */
import type { AgentEntry, Bus } from "../src/bus/contract.ts";
import { isBus } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { readText } from "../src/os/file.ts";
import { isAlive, type ProcessIdentity, processState } from "../src/os/process.ts";

/** The process that hosts an id; undefined where it is none that can be seen from here. */
export type Hosted = ProcessIdentity | undefined;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, limits.stopLookMs));

/** Who takes what is meant for the whole run; a run that has just begun gets a moment to be there. */
export async function leadOfRun(bus: Bus): Promise<string> {
  for (const until = monotonicMs() + limits.stopStuckMs; ; await pause()) {
    for (const id of ["master", "c1"]) if (bus.agents().some((agent) => agent.id === id && isLead(agent))) return id;
    if (monotonicMs() >= until)
      throw new CfnError("not_found", `no run is led on the bus ${bus.info.dir}`, "cfn agents lists who is there");
  }
}

/** In a hybrid swarm `c1` has a team above it. */
const isLead = ({ role, team }: { readonly role: string; readonly team: string }): boolean =>
  role === "master" || (role === "coordinator" && team === "");

/** Whether nothing runs in an agent's seat, nor ever will. */
export const hasStopped = ({ info }: Bus, id: string): boolean =>
  readText(`${info.dir}/agents/${id}/state`, 64)?.trim() === "STOPPED";

export function hostOf(bus: Bus, id: string): Hosted {
  const pid = bus.agents().find((agent) => agent.id === id)?.hostPid ?? 0;
  return pid === 0 ? undefined : processState(pid);
}

export async function isSoonGone(dir: string): Promise<boolean> {
  for (const until = monotonicMs() + limits.stopStuckMs; isBus(dir) && monotonicMs() < until; ) await pause();
  return !isBus(dir);
}

/** Until its bus is gone and its process too. Throws as `awaitEnd`. */
export async function awaitRun(dir: string, host: Hosted, timeoutMs: number): Promise<void> {
  const name = `the run on ${dir}`;
  await awaitEnd(name, host, timeoutMs, () => !isBus(dir) && (host === undefined || !isAlive(host)));
}

/**
 * Until nothing runs in its seat, or it has left the bus. Where its host has died, its coordinator's successor and the master see
 * to that: while one of them lives, what the dead host ran is still to be ended. Throws as `awaitEnd`.
 */
export async function awaitAgent(bus: Bus, { id, team }: AgentEntry, host: Hosted, timeoutMs: number): Promise<void> {
  const isLeft = (): boolean => !bus.has(id) || ![id, team, "master"].some((one) => bus.isServed(one));
  const hasEnded = (): boolean => !isBus(bus.info.dir) || hasStopped(bus, id) || isLeft();
  await awaitEnd(`agent ${id}`, host, timeoutMs, hasEnded);
}

/** @throws CfnError unavailable, if the process that should end it stands still; timed_out. */
async function awaitEnd(what: string, host: Hosted, timeoutMs: number, hasEnded: () => boolean): Promise<void> {
  const until = monotonicMs() + timeoutMs;
  let movedAt = monotonicMs();
  for (; !hasEnded(); await pause()) {
    const now = monotonicMs();
    const state = host === undefined ? undefined : processState(host.pid)?.state;
    if (state !== "T" && state !== "t") movedAt = now;
    if (now - movedAt >= limits.stopStuckMs) {
      const remedy = `kill -CONT ${host?.pid} lets it end; after kill -KILL ${host?.pid} its guardian ends what is left`;
      throw new CfnError("unavailable", `${what} does not end: its process ${host?.pid} is stopped`, remedy);
    }
    if (now >= until)
      throw new CfnError("timed_out", `${what} has not ended in ${timeoutMs} ms`, "cfn stop --now ends it at once");
  }
}
