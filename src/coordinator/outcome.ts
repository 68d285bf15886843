/** The result of an attempt that no host reports. Pure. */
import type { EndReason, ResultPayload, TaskPayload } from "../message/protocol.ts";

/** `agent`: whom it was with; "" if nobody. */
export function unreportedResult(
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

/** Of a task that a coordinator had and no worker. */
export function cancelledUnbegun(task: TaskPayload): ResultPayload {
  const named = { id: task.task_id, seq: task.seq };
  const result = unreportedResult(named, task.attempt, "cancelled", "the run ended before it began", "");
  return task.epoch === undefined ? result : { ...result, epoch: task.epoch };
}
