/** What a message on a seat's control chain means. Pure. */
import type { Json, Message } from "../message/message.ts";
import type { TaskPayload } from "../message/protocol.ts";

export type Control =
  | { readonly kind: "task"; readonly task: TaskPayload }
  | { readonly kind: "cancel"; readonly taskId: string }
  | { readonly kind: "stop"; readonly graceMs: number | undefined }
  | { readonly kind: "malformed"; readonly why: string };

type Fields = { readonly [key: string]: Json };
type Check = (value: Json) => boolean;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isDuration: Check = (value) => typeof value === "number" && value >= 0;
const isTexts: Check = (value) => Array.isArray(value) && value.length > 0 && value.every(isText);
const isFields = (value: Json): value is { [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const taskFields: Record<keyof TaskPayload, { readonly check: Check; readonly needed: boolean }> = {
  task_id: { check: (value) => isText(value) && value !== "", needed: true },
  seq: { check: isCount, needed: true },
  attempt: { check: isCount, needed: true },
  run: { check: (value) => isText(value) || isTexts(value), needed: true },
  input: { check: isText, needed: false },
  env: { check: (value) => isFields(value) && Object.values(value).every(isText), needed: false },
  cwd: { check: isText, needed: false },
  timeout_ms: { check: isDuration, needed: false },
  epoch: { check: isCount, needed: false },
};

function malformedField(payload: Fields): string | undefined {
  for (const name in taskFields) {
    const { check, needed } = taskFields[name as keyof TaskPayload];
    const value = payload[name];
    if (value === undefined ? needed : !check(value)) return name;
  }
  return undefined;
}

/** Never throws: whoever can write to the bus can write anything. */
export function controlOf(message: Message): Control {
  const { payload, type } = message;
  const bad = (what: string): Control => ({
    kind: "malformed",
    why: `ignored message ${message.msg_id} (${type}) from ${message.from} to ${message.to}: ${what}`,
  });
  if (!isFields(payload)) return bad("its payload is not an object");
  switch (type) {
    case "task": {
      const field = malformedField(payload);
      return field === undefined
        ? { kind: "task", task: payload as unknown as TaskPayload }
        : bad(`its ${field} is not valid`);
    }
    case "cancel": {
      const id = payload["task_id"];
      return typeof id === "string" ? { kind: "cancel", taskId: id } : bad("its task_id is not valid");
    }
    case "stop": {
      const grace = payload["grace_ms"];
      return grace === undefined || (typeof grace === "number" && grace >= 0)
        ? { kind: "stop", graceMs: grace }
        : bad("its grace_ms is not valid");
    }
    default:
      return bad("a host takes task, cancel and stop");
  }
}
