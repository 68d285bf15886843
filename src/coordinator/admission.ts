/**
 * Whether agents may start now, by what the machine has left. Pure; `gate.ts` reads and asks.
 *
 * The rule: none starts while less memory is available than `--memfree`, or the load average is above `--load`, or the
 * pressure above `--pressure`: not the first one either, as with GNU parallel. What runs goes on. Once closed, it opens again
 * only a tenth beyond the mark (1.1 × the memory, 0.9 × the load and the pressure), so that it does not flutter at the mark.
 *
 * What starts now is seen in these figures only later. So as many may start until the next look as there are cores, and
 * with each further look that finds it open twice as many as before; once it has been closed it begins anew.
 */
import { limits } from "../limits.ts";
import { formatBytes } from "../message/quantity.ts";

/** The marks that are set. */
export interface AdmissionMarks {
  readonly memfreeBytes?: number | undefined;
  readonly loadMost?: number | undefined;
  readonly pressureMostPercent?: number | undefined;
}

/** How the machine stands. Pressure is undefined where the kernel does not say. */
export interface MachineLoad {
  readonly availableBytes: number;
  readonly load: number;
  readonly pressurePercent: number | undefined;
}

export interface Admission {
  /** Agents that may start until the next look; 0 while it is closed. */
  readonly starts: number;
  /** What it waits for, with the figures; undefined while it is open. */
  readonly waitsFor: string | undefined;
}

/** Before the first look. */
export const notYetAdmitted: Admission = { starts: 0, waitsFor: undefined };

export function admit(before: Admission, marks: AdmissionMarks, machine: MachineLoad, cores: number): Admission {
  const waitsFor = beyondMark(marks, machine, before.waitsFor !== undefined);
  if (waitsFor !== undefined) return { starts: 0, waitsFor };
  return { starts: Math.min(limits.agentsMax, Math.max(cores, 2 * before.starts)), waitsFor };
}

function beyondMark(marks: AdmissionMarks, machine: MachineLoad, closed: boolean): string | undefined {
  const { memfreeBytes, loadMost, pressureMostPercent } = marks;
  const { availableBytes, load, pressurePercent = 0 } = machine;
  const margin = closed ? limits.admissionMargin : 0;
  if (memfreeBytes !== undefined && availableBytes < memfreeBytes * (1 + margin))
    return `memory: ${rough(availableBytes)} available, --memfree ${formatBytes(memfreeBytes)}`;
  if (loadMost !== undefined && load > loadMost * (1 - margin))
    return `a lower load: ${load.toFixed(2)}, --load ${rounded(loadMost)}`;
  if (pressureMostPercent !== undefined && pressurePercent > pressureMostPercent * (1 - margin))
    return `less pressure: ${pressurePercent.toFixed(1)} %, --pressure ${rounded(pressureMostPercent)}`;
  return undefined;
}

const rough = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)}MiB`;
const rounded = (value: number): string => String(Math.round(value * 100) / 100);
