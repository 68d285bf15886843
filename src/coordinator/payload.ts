/** Whether a payload is what its message type says: other processes of this user can write to the bus as well. Pure. */
import type { ByePayload, HelloPayload, ResultPayload, StopPayload, TaskPayload } from "../message/protocol.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const have = (value: Fields, type: "number" | "string", ...names: string[]): boolean =>
  names.every((name) => typeof value[name] === type);

export function isResult(value: unknown): value is ResultPayload {
  return (
    isObject(value) &&
    have(value, "string", "task_id", "agent_id", "reason") &&
    have(
      value,
      "number",
      "seq",
      "attempt",
      "exit_code",
      "signal",
      "started_at",
      "run_time_ms",
      "stdout_bytes",
      "stderr_bytes",
    )
  );
}

export function isTask(value: unknown): value is TaskPayload {
  return (
    isObject(value) &&
    have(value, "string", "task_id") &&
    have(value, "number", "seq", "attempt") &&
    (typeof value["run"] === "string" || Array.isArray(value["run"]))
  );
}

export function isStop(value: unknown): value is StopPayload {
  return isObject(value) && have(value, "number", "grace_ms");
}

export function isHello(value: unknown): value is HelloPayload {
  return isObject(value) && have(value, "number", "pid", "epoch", "workers");
}

export function isBye(value: unknown): value is ByePayload {
  if (!isObject(value) || !have(value, "number", "peak_rss_bytes", "open_fds_max")) return false;
  const counts = value["hierarchical"];
  return (
    isObject(counts) &&
    have(counts, "number", "expected", "delivered", "duplicates", "withdrawn") &&
    Array.isArray(counts["lost"])
  );
}
