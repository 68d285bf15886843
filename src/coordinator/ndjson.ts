/** The objects of `--json`: one per task, when its final result is there. Pure. */
import type { ResultPayload } from "../message/protocol.ts";
import type { TaskSpec } from "./spec.ts";

const decoder = new TextDecoder();

/** `stdout` and `stderr` are the beginnings of the streams; `…_truncated` says that there was more. Bytes that are not UTF-8 become U+FFFD. */
export function resultObject(task: TaskSpec, result: ResultPayload, stdout: Uint8Array, stderr: Uint8Array): object {
  const { started_at, run_time_ms, stdout_bytes, stderr_bytes } = result;
  return {
    type: "result",
    task_id: task.id,
    seq: task.seq,
    agent_id: result.agent_id,
    attempt: result.attempt,
    ok: result.reason === "exited" && result.exit_code === 0,
    reason: result.reason,
    exit_code: result.exit_code,
    signal: result.signal,
    ...(result.detail === undefined ? {} : { detail: result.detail }),
    started_at,
    run_time_ms,
    stdout_bytes,
    stderr_bytes,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
    ...(stdout.length < stdout_bytes ? { stdout_truncated: true } : {}),
    ...(stderr.length < stderr_bytes ? { stderr_truncated: true } : {}),
  };
}
