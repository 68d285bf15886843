/** From how a process ended, and why we ended it if we did, to what the result says. Pure. */
import type { EndReason } from "../message/protocol.ts";

/** Why the host ended an agent; the first cause counts. */
export type EndCause = "timed_out" | "cancelled" | "output_limit";

export interface Ending {
  readonly reason: EndReason;
  /** 0–255; 124 for a timeout, 128 + signal where a signal ended it, never 0 unless `reason` is "exited". */
  readonly exitCode: number;
  readonly signal: number;
  readonly detail?: string;
}

/** What a result says of an agent that was stopped by itself. */
export const AGENT_STOPPED = "its agent was stopped";

const TIMED_OUT = 124;
const TERMINATED = 128 + 15;

export function endingOf(
  exit: { readonly code: number; readonly signal: number },
  cause: { readonly why: EndCause; readonly detail: string } | undefined,
): Ending {
  const { code, signal } = exit;
  if (cause === undefined) {
    if (signal === 0) return { reason: "exited", exitCode: code, signal };
    return { reason: "signalled", exitCode: code, signal, detail: `ended by signal ${signal}` };
  }
  // An agent that handles SIGTERM and exits with 0 has still not done its task.
  const exitCode = cause.why === "timed_out" ? TIMED_OUT : code === 0 ? TERMINATED : code;
  return { reason: cause.why, exitCode, signal, detail: cause.detail };
}

/** A task that never ran. */
export function notStarted(status: "not_found" | "not_executable" | "busy", detail: string): Ending {
  return { reason: "not_started", exitCode: status === "not_found" ? 127 : 126, signal: 0, detail };
}

export function cancelledBeforeStart(): Ending {
  return { reason: "cancelled", exitCode: TERMINATED, signal: 0, detail: "cancelled before it was started" };
}
