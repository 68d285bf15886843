import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { monotonicMs } from "../src/os/clock.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { handOver } from "./handover.ts";
import { busOption, joinBus, unknownAgent } from "./join.ts";
import { receive } from "./receive.ts";
import { agentId, duration, whole } from "./values.ts";

const args = {
  id: { type: "positional", env: "CFN_AGENT_ID", description: "whose inbox (CFN_AGENT_ID)", value: agentId },
  wait: {
    type: "string",
    bare: true,
    valueHint: "D",
    description: "for one at least, so long; then 124",
    value: duration(),
  },
  follow: { type: "boolean", description: "go on until interrupted" },
  max: { type: "string", valueHint: "N", description: "take at most so many", value: whole(1, limits.sequenceMost) },
  peek: { type: "boolean", description: "show them and take none" },
  bus: busOption,
  json: { type: "boolean", description: "JSON lines, which it always prints" },
} as const satisfies Args;

export const recvCommand: Command<typeof args> = {
  meta: { name: "recv", description: "Take messages, oldest first; prints one JSON object a line" },
  args,
  example: `cfn run --agents 1 -- sh -c 'cfn send "$CFN_AGENT_ID" --text hello; cfn recv'`,
  run({ args, env }) {
    if (args.follow && args.peek) throw new CfnError("usage", "--follow and --peek exclude each other");
    if (args.follow && args.wait !== undefined) throw new CfnError("usage", "--follow and --wait exclude each other");
    const bus = joinBus(args.bus, env);
    if (!bus.has(args.id)) throw unknownAgent(bus, args.id);
    const waitMs = args.follow || args.wait === true ? Number.POSITIVE_INFINITY : args.wait;
    const most = args.max ?? Number.POSITIVE_INFINITY;
    const end = receive(bus, args.id, {
      until: monotonicMs() + (waitMs ?? limits.inboxTurnMs),
      waits: waitMs !== undefined,
      follows: args.follow,
      most,
      peeks: args.peek,
      handOver: (message) => handOver(`${JSON.stringify(message)}\n`, args.follow),
    });
    if (end === "done") return exitStatus.success;
    if (end === "busy")
      throw new CfnError("try_again", `another recv holds the inbox of ${args.id}`, "wait with --wait");
    throw new CfnError("timed_out", `no message for ${args.id}`);
  },
};
