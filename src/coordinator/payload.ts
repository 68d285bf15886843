/** Whether a payload is what its message type says: other processes of this user can write to the bus as well. Pure. */
import type {
  Answer,
  BackPayload,
  ByePayload,
  HelloPayload,
  LookPayload,
  ResultPayload,
  StopPayload,
  StopRequestPayload,
  TaskPayload,
} from "../message/protocol.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const have = (value: Fields, type: "number" | "string" | "boolean", ...names: string[]): boolean =>
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

export function isAnswer(value: unknown): value is Answer {
  return (
    isObject(value) && isResult(value["result"]) && (value["task"] === undefined || typeof value["task"] === "string")
  );
}

export function isStop(value: unknown): value is StopPayload {
  return isObject(value) && have(value, "number", "grace_ms");
}

const isGrace = (grace: unknown): boolean => grace === undefined || (typeof grace === "number" && grace >= 0);

export function isStopRequest(value: unknown): value is StopRequestPayload {
  return isObject(value) && isGrace(value["grace_ms"]);
}

export function isLook(value: unknown): value is LookPayload {
  return isObject(value) && have(value, "string", "agent") && isGrace(value["grace_ms"]);
}

export function isBack(value: unknown): value is BackPayload {
  return isObject(value) && have(value, "number", "seq", "attempt", "epoch");
}

export function isHello(value: unknown): value is HelloPayload {
  if (!isObject(value) || !have(value, "number", "pid", "epoch", "workers")) return false;
  return value["exhausted"] === undefined || have(value, "boolean", "exhausted");
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
