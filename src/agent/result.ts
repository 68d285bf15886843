/** The result message of a task. Pure. */
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import type { Ending } from "./ending.ts";
import type { Times } from "./execution.ts";
import { excessText } from "./flood.ts";

export interface OutputSizes {
  readonly out: number;
  readonly err: number;
}

/** An agent that wrote too much and ended before it was noticed gets the same reason as one that was ended for it. */
export function resultOf(
  agentId: string,
  task: TaskPayload,
  ending: Ending,
  times: Times,
  sizes: OutputSizes,
  outputBytesMax: number,
): ResultPayload {
  const tooLong = sizes.out > outputBytesMax ? "stdout" : sizes.err > outputBytesMax ? "stderr" : undefined;
  const flooded = tooLong !== undefined && (ending.reason === "exited" || ending.reason === "signalled");
  const detail = flooded ? excessText(tooLong, outputBytesMax) : ending.detail;
  return {
    task_id: task.task_id,
    seq: task.seq,
    attempt: task.attempt,
    agent_id: agentId,
    reason: flooded ? "output_limit" : ending.reason,
    exit_code: flooded && ending.exitCode === 0 ? 1 : ending.exitCode,
    signal: ending.signal,
    ...(detail === undefined ? {} : { detail }),
    started_at: times.startedAt,
    run_time_ms: Math.round(times.runTimeMs * 1000) / 1000,
    stdout_bytes: sizes.out,
    stderr_bytes: sizes.err,
    ...(task.epoch === undefined ? {} : { epoch: task.epoch }),
  };
}
