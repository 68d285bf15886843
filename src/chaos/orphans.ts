/** Processes that should be gone. By descent and by a mark in the environment, never by name. */
import { sleepMs } from "../os/clock.ts";
import { descendantsOf } from "../os/descendants.ts";
import { readBytes } from "../os/file.ts";
import { processState, signalProcess } from "../os/process.ts";
import { SIGKILL } from "../os/signals.ts";
import { listDirectory } from "../os/tree.ts";

export const markVariable = "CFN_CHAOS_MARK";

const decoder = new TextDecoder("latin1");
const ENVIRONMENT_BYTES_MOST = 4 << 20;

/** Living processes that carry the mark, this one left out. Those of other users cannot be read, and are not ours. */
export function markedProcesses(mark: string): number[] {
  const sought = `${markVariable}=${mark}`;
  return listDirectory("/proc")
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const bytes = readBytes(`/proc/${pid}/environ`, ENVIRONMENT_BYTES_MOST);
      return bytes !== undefined && `\0${decoder.decode(bytes)}`.includes(`\0${sought}\0`);
    })
    .map(Number)
    .filter((pid) => (processState(pid)?.state ?? "Z") !== "Z");
}

/** Living descendants of this process but those given, and whoever carries the mark. */
export function remaining(mark: string, besides: readonly number[]): number[] {
  const spared = new Set(besides);
  return [...new Set([...descendantsOf(process.pid), ...markedProcesses(mark)])].filter((pid) => !spared.has(pid));
}

/** Kills these by their pids and waits until they are gone, at most `waitMs`. Blocks. */
export function endProcesses(pids: readonly number[], waitMs: number): void {
  for (const pid of pids) signalProcess(pid, SIGKILL);
  for (let waited = 0; waited < waitMs && pids.some((pid) => (processState(pid)?.state ?? "Z") !== "Z"); waited += 5)
    sleepMs(5);
}
