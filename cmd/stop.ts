/** Ends a run, or one agent, over the bus. */
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Json } from "../src/message/message.ts";
import type { Args, Command } from "./command.ts";
import { deliver } from "./deliver.ts";
import { exitStatus } from "./exit.ts";
import { anonymous, busOption, joinBus, unknownAgent } from "./join.ts";
import { awaitAgent, awaitRun, type Hosted, hasStopped, hostOf, isSoonGone, leadOfRun } from "./stopping.ts";
import { chooseRun } from "./stoprun.ts";
import { agentId, duration, runId } from "./values.ts";

const args = {
  run: { type: "positional", required: false, description: "its id or how that begins; the one alive", value: runId },
  agent: {
    type: "string",
    valueHint: "ID",
    description: "end this agent only; its seat takes no more",
    value: agentId,
  },
  grace: { type: "string", valueHint: "D", description: "TERM now, KILL after D (the run's own)", value: duration() },
  now: { type: "boolean", description: "KILL at once, as a second signal does" },
  "no-wait": { type: "boolean", description: "return once it has been asked to end" },
  timeout: { type: "string", valueHint: "D", description: "wait for its end so long (grace + 30s)", value: duration() },
  bus: { ...busOption, description: "the bus (CFN_BUS_DIR, else that of RUN)" },
} as const satisfies Args;

interface Wish {
  /** Undefined: the run's own. */
  readonly graceMs: number | undefined;
  readonly waits: boolean;
  readonly timeoutMs: number;
  readonly from: string;
}

export const stopCommand: Command<typeof args> = {
  meta: { name: "stop", description: "End a run, or one agent of it, and wait for that" },
  args,
  example: `cfn run --agents 2 -- sleep 60 2>/dev/null & sleep 1; cfn stop; wait $!; echo "ended with $?"`,
  async run({ args, env }) {
    if (args.now && args.grace !== undefined)
      throw new CfnError("usage", "--now stands beside --grace", "give one of them");
    const graceMs = args.now ? 0 : args.grace;
    const wish: Wish = {
      graceMs,
      waits: !args["no-wait"],
      timeoutMs: args.timeout ?? (graceMs ?? limits.killGraceMs) + limits.stopWaitMs,
      from: env["CFN_AGENT_ID"] || anonymous,
    };
    const own = env["CFN_BUS_DIR"] || undefined;
    if (args.agent !== undefined) {
      const dir = args.bus ?? (args.run === undefined ? undefined : chooseRun(args.run, env).dir);
      await stopAgent(joinBus(dir, env), args.agent, wish, env["CFN_AGENT_ID"]);
      return exitStatus.success;
    }
    const dir = args.bus ?? (args.run === undefined && own !== undefined ? own : chooseRun(args.run, env).dir);
    // An agent of the run is ended with it: waiting for that would be waiting for itself.
    await stopRun(dir, { ...wish, waits: wish.waits && !(dir === own && env["CFN_AGENT_ID"]) });
    return exitStatus.success;
  },
};

const payloadOf = ({ graceMs }: Wish, more: Readonly<Record<string, string>> = {}): Json =>
  graceMs === undefined ? more : { ...more, grace_ms: graceMs };

async function stopRun(dir: string, wish: Wish): Promise<void> {
  let host: Hosted;
  try {
    const bus = openBus(dir);
    const lead = await leadOfRun(bus);
    host = hostOf(bus, lead);
    await control(bus, lead, "stop", payloadOf(wish), wish);
  } catch (error) {
    // It may be ending just now, and its bus with it.
    if (await isSoonGone(dir)) return;
    throw error;
  }
  if (wish.waits) await awaitRun(dir, host, wish.timeoutMs);
}

/** The stop itself goes to the agent's own inbox, where it stays; whoever hosts it is told to look. */
async function stopAgent(bus: Bus, id: string, wish: Wish, own: string | undefined): Promise<void> {
  const entry = bus.agents().find((agent) => agent.id === id);
  if (entry === undefined) throw unknownAgent(bus, id);
  if (entry.role !== "worker")
    throw new CfnError("usage", `${id} is a ${entry.role}`, "cfn stop [RUN] ends a whole run");
  if (hasStopped(bus, id)) return;
  const host = hostOf(bus, id);
  await control(bus, id, "stop", payloadOf(wish), wish);
  const look = payloadOf(wish, { agent: id });
  for (const lead of new Set([entry.team, "master"])) if (bus.has(lead)) await control(bus, lead, "look", look, wish);
  if (wish.waits && own !== id) await awaitAgent(bus, entry, host, wish.timeoutMs);
}

async function control(bus: Bus, to: string, type: string, payload: Json, { from, timeoutMs }: Wish): Promise<void> {
  await deliver(bus, [{ from, to, type, payload, chain: "control" }], timeoutMs, () => undefined);
}
