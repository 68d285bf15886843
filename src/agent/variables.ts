/** The environment that an agent finds. Pure. */
import { limits } from "../limits.ts";
import type { TaskPayload } from "../message/protocol.ts";

const encoder = new TextEncoder();

type Variables = Record<string, string | undefined>;

/**
 * What all agents of one host share. Whatever CFN_ variables of an agent or a task the host itself was started with are
 * left out. `bin` goes in front of the PATH: it holds this very `cfn`.
 */
export function sharedVariables(
  inherited: Readonly<Variables>,
  host: { readonly busDir: string; readonly lead: string; readonly runId: string; readonly bin: string },
): Variables {
  const variables: Variables = { ...inherited };
  for (const name of ["CFN_AGENT_ID", "CFN_TASK_ID", "CFN_TASK", "CFN_ATTEMPT"]) delete variables[name];
  variables["PATH"] = `${host.bin}:${inherited["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"}`;
  variables["CFN_BUS_DIR"] = host.busDir;
  variables["CFN_RUN_ID"] = host.runId;
  variables["CFN_COORDINATOR_ID"] = host.lead;
  return variables;
}

/** Three bytes of UTF-8 at most for each UTF-16 unit; only texts near the bound are really measured. */
const fits = (text: string): boolean =>
  text.length * 3 < limits.environmentStringBytes ||
  encoder.encode(text).length < limits.environmentStringBytes - "CFN_TASK=".length;

/**
 * The task as `cfn run --tasks` would take it. The kernel takes at most 128 KiB for one variable, the name included: a task
 * that is longer goes without `input` (it is on stdin anyway), and with `run` and `env` left out too if that is not enough.
 */
export function taskAsJson(task: TaskPayload): string {
  const { task_id: id, run, input, env, cwd, timeout_ms } = task;
  const timeout = timeout_ms === undefined ? undefined : `${timeout_ms}ms`;
  const whole = JSON.stringify({ id, run, input, env, cwd, timeout });
  if (fits(whole)) return whole;
  for (const fields of [
    { id, run, env, cwd, timeout },
    { id, cwd, timeout },
  ]) {
    const text = JSON.stringify(fields);
    if (fits(text)) return text;
  }
  return JSON.stringify({ id });
}

/** What differs between two tasks; the task's own `env` goes over it all. */
export function taskVariables(agentId: string, task: TaskPayload): Record<string, string> {
  return {
    CFN_AGENT_ID: agentId,
    CFN_TASK_ID: task.task_id,
    CFN_TASK: taskAsJson(task),
    CFN_ATTEMPT: String(task.attempt),
    ...task.env,
  };
}
