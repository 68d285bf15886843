/**
 * The two settings that message commands need, without the schema, which would cost them more than a message. They look at nothing
 * but these; whoever runs `cfn run` or `cfn config` hears of the rest.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { parseDurationMs } from "../message/quantity.ts";
import { defaultConfigPath, parseConfig, readConfig } from "./file.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The environment with `bus.base_dir` of the configuration file in it; as it is where it says where buses are. Throws CfnError. */
export function withBaseDir(env: Env): Env {
  if (env["CFN_MESSAGE_BASE_DIR"]) return env;
  const found = quickSetting(env, "base_dir");
  if (found === undefined) return env;
  const { path, value } = found;
  if (typeof value === "string" && value.startsWith("/") && !value.includes("\0")) {
    return { ...env, CFN_MESSAGE_BASE_DIR: value };
  }
  throw new CfnError("usage", `bus.base_dir ${JSON.stringify(value)} (${path}): expected an absolute path`);
}

/** `bus.send_timeout`, milliseconds: of its variable, else of the file, else the usual one. Throws CfnError. */
export function sendTimeoutMs(env: Env): number {
  const variable = env["CFN_BUS_SEND_TIMEOUT"];
  const found = variable ? { path: "CFN_BUS_SEND_TIMEOUT", value: variable } : quickSetting(env, "send_timeout");
  if (found === undefined) return limits.sendTimeoutMs;
  const { path, value } = found;
  const ms = parseDurationMs(String(value));
  if (ms !== undefined && ms <= limits.timeoutMsMax && typeof value !== "boolean") return ms;
  throw new CfnError(
    "usage",
    `bus.send_timeout ${JSON.stringify(value)} (${path}): expected a duration, like 500ms or 5s`,
  );
}

function quickSetting(env: Env, name: string): { path: string; value: unknown } | undefined {
  const path = defaultConfigPath(env);
  const text = path === undefined ? undefined : readConfig(path)?.text;
  if (path === undefined || text === undefined) return undefined;
  const value = (parsed(path, text) as { bus?: Record<string, unknown> } | null)?.bus?.[name];
  return value === undefined ? undefined : { path, value };
}

function parsed(path: string, text: string): unknown {
  try {
    return parseConfig(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CfnError("usage", `the configuration ${path}: ${reason}`, `cfn config check ${path} says where`);
  }
}
