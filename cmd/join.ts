/** What the message commands share: which bus, and who is on it. */
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { type Env, isBus, locateBus } from "../src/bus/directory.ts";
import { sendTimeoutMs, withBaseDir } from "../src/config/quick.ts";
import { CfnError } from "../src/errors.ts";
import { beforeExit } from "./exit.ts";
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

/** `--timeout`, else what is configured. Who always finds space never looks for that. */
export const waitsFor = (timeoutMs: number | undefined, env: Env): number | (() => number) =>
  timeoutMs ?? (() => sendTimeoutMs(env));

export const anonymous = "anonymous";

/** Opens the bus that a command means; when the command has ended, it warns if that bus is or was damaged. */
export function joinBus(dir: string | undefined, env: Env): Bus {
  const bus = openBus(dir ?? (env["CFN_BUS_DIR"] || locateBus(withBaseDir(env))));
  beforeExit.push(() => warnOfDamage(bus));
  return bus;
}

/** Whoever waits for something on the bus asks, each time round: its mapped files outlive it. Throws unavailable where it is gone. */
export function checkBusIsThere({ info: { dir } }: Bus): void {
  if (!isBus(dir)) throw new CfnError("unavailable", `the bus ${dir} is gone`, "its run has ended");
}

async function warnOfDamage(bus: Bus): Promise<void> {
  const count = bus.damaged();
  if (count === 0) return;
  const { say } = await import("./log.ts");
  const places = count === 1 ? "one place" : `${count} places`;
  const { dir } = bus.info;
  const kept = `what was found is kept in ${dir}/shards/*/damaged-*`;
  await say(
    "warn",
    `the bus ${dir} was damaged in ${places} and mended: messages may be lost\n  ${kept}; remove ${dir} once it is read out`,
  );
}

/** The refusal of an id that nobody has registered, with those that are. */
export function unknownAgent(bus: Bus, id: string): UnknownName {
  const ids = bus.agents().map((agent) => agent.id);
  return new UnknownName("not_found", "agent", id, ids, "cfn agents lists those there are");
}
