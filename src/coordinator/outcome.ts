/** The result of an attempt that no host reports. Pure. */
import type { EndReason, ResultPayload } from "../message/protocol.ts";

/** `agent`: whom it was with; "" if nobody. */
export function placeholderResult(
  task: { readonly id: string; readonly seq: number },
  attempt: number,
  reason: Extract<EndReason, "cancelled" | "lost">,
  detail: string,
  agent: string,
): ResultPayload {
  return {
    task_id: task.id,
    seq: task.seq,
    attempt,
    agent_id: agent,
    reason,
    exit_code: reason === "cancelled" ? 143 : 137,
    signal: 0,
    detail,
    started_at: 0,
    run_time_ms: 0,
    stdout_bytes: 0,
    stderr_bytes: 0,
  };
}
