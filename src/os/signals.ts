/** Signals: sent to process groups, and received by this process. */
import { assert } from "../assert.ts";
import { libc } from "./libc.ts";

export const SIGTERM = 15;
export const SIGKILL = 9;
export const SIGCONT = 18;
export const SIGSTOP = 19;

/** Sends a signal to a whole process group; false if nobody is in it or none of them is ours. */
export function signalGroup(leaderPid: number, signal: number): boolean {
  // kill(-1) means every process there is, kill(0) our own group: neither is ever meant.
  assert(Number.isSafeInteger(leaderPid) && leaderPid > 1, `${leaderPid} leads a process group`);
  return libc.kill(-leaderPid, signal) === 0;
}

const numbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12, SIGTERM } as const;

export type SignalName = keyof typeof numbers;

/** Calls `onSignal` from the event loop instead of dying of these signals. The returned function restores the defaults. */
export function catchSignals(
  names: readonly SignalName[],
  onSignal: (signal: number, name: SignalName) => void,
): () => void {
  const installed = names.map((name) => {
    const handler = (): void => onSignal(numbers[name], name);
    process.on(name, handler);
    return { name, handler };
  });
  return () => {
    for (const { name, handler } of installed) process.off(name, handler);
  };
}
