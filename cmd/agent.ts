/** The wrapper alone, for agents that somebody else starts. */

import { runForeground } from "../src/agent/foreground.ts";
import { enterHome } from "../src/agent/home.ts";
import { withBaseDir } from "../src/config/quick.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { endAtBug } from "./bug.ts";
import type { Args, Command } from "./command.ts";
import { busOption } from "./join.ts";
import { say } from "./log.ts";
import { agentId, duration } from "./values.ts";

const args = {
  id: { type: "positional", description: "the agent's id on the bus", value: agentId },
  team: { type: "string", valueHint: "ID", description: "who leads it, and gets a result message", value: agentId },
  timeout: {
    type: "string",
    valueHint: "D",
    description: "TERM after so long, KILL 2s later; exit 124",
    value: duration(1),
  },
  bus: { ...busOption, description: "the bus (CFN_BUS_DIR, else default, made if need be)" },
} as const satisfies Args;

export const agentCommand: Command<typeof args> = {
  meta: { name: "agent", description: "Run one command as an agent on the bus, in the foreground" },
  args,
  guard: endAtBug,
  rest: "COMMAND [ARG]...",
  example: `cfn agent ana -- sh -c 'echo "I am $CFN_AGENT_ID"; cfn agents'`,
  async run({ args, rest, env }) {
    if (rest.length === 0) throw new CfnError("usage", "no command given", "cfn agent ID -- COMMAND [ARG]...");
    const warn = (text: string): void => void say("warn", text);
    const dir = args.bus ?? (env["CFN_BUS_DIR"] || undefined);
    const home = enterHome(dir, dir === undefined ? withBaseDir(env) : env);
    if (home.warning !== undefined) warn(home.warning);
    try {
      const ending = await runForeground({
        bus: home.bus,
        id: args.id,
        team: args.team ?? "",
        runId: env["CFN_RUN_ID"] || "default",
        env,
        argv: rest,
        ...(args.timeout === undefined ? {} : { timeoutMs: args.timeout }),
        health: { intervalMs: limits.healthIntervalMs, stalledAfterMs: limits.stalledAfterMs },
        onWarning: warn,
      });
      if (ending.detail !== undefined) await say("error", ending.detail);
      return ending.exitCode;
    } finally {
      home.leave();
    }
  },
};
