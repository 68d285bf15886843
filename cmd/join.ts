/** What the message commands share: which bus, and who is on it. */
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { type Env, locateBus } from "../src/bus/directory.ts";
import { UnknownName } from "./unknown.ts";
import { agentId, duration, path } from "./values.ts";

export const busOption = {
  type: "string",
  valueHint: "DIR",
  description: "the bus (CFN_BUS_DIR, else the one alive)",
  value: path,
} as const;

export const fromOption = {
  type: "string",
  valueHint: "ID",
  description: "the sender (CFN_AGENT_ID, else anonymous)",
  env: "CFN_AGENT_ID",
  value: agentId,
} as const;

export const timeoutOption = {
  type: "string",
  valueHint: "D",
  description: "wait for space so long (30s), then 75",
  value: duration(),
} as const;

export const anonymous = "anonymous";

export function joinBus(dir: string | undefined, env: Env): Bus {
  return openBus(dir ?? (env["CFN_BUS_DIR"] || locateBus(env)));
}

/** The refusal of an id that nobody has registered, with those that are. */
export function unknownAgent(bus: Bus, id: string): UnknownName {
  const ids = bus.agents().map((agent) => agent.id);
  return new UnknownName("not_found", "agent", id, ids, "cfn agents lists those there are");
}
