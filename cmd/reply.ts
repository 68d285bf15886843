import { CfnError } from "../src/errors.ts";
import { senderOf } from "../src/message/ids.ts";
import type { Args, Command } from "./command.ts";
import { deliver, printer } from "./deliver.ts";
import { exitStatus } from "./exit.ts";
import { anonymous, busOption, fromOption, joinBus, timeoutOption, waitsFor } from "./join.ts";
import { jsonPayload, textPayload } from "./payload.ts";
import { recipientsOf } from "./recipients.ts";
import { messageId } from "./values.ts";

const args = {
  "message-id": { type: "positional", description: "the question's msg_id", value: messageId },
  answer: { type: "positional", required: false, description: "text; - reads stdin" },
  payload: { type: "string", valueHint: "JSON", description: "the answer as JSON instead; - reads stdin" },
  from: fromOption,
  timeout: timeoutOption,
  bus: busOption,
  json: { type: "boolean", description: "print msg_id, to, sequence and status" },
} as const satisfies Args;

export const replyCommand: Command<typeof args> = {
  meta: { name: "reply", description: "Answer a question; prints the answer's id" },
  args,
  example: `cfn run --agents 1 -- sh -c 'cfn ask "$CFN_AGENT_ID" "2+2?" & cfn recv --wait |
    sed "s/.*\\"msg_id\\":\\"\\([^\\"]*\\).*/\\1/" | xargs -I{} cfn reply {} 4; wait'`,
  async run({ args, env }) {
    if ((args.answer === undefined) === (args.payload === undefined))
      throw new CfnError("usage", "one answer is needed", "give ANSWER or --payload JSON");
    const replyTo = args["message-id"];
    const payload =
      args.payload === undefined
        ? await textPayload(args.answer ?? "", args.answer === "-")
        : await jsonPayload(args.payload);
    const bus = joinBus(args.bus, env);
    const from = args.from ?? anonymous;
    const [to] = recipientsOf(bus, [senderOf(replyTo) as string], from) as [string];
    const draft = { from, to, type: "answer", payload, replyTo };
    await deliver(bus, [draft], waitsFor(args.timeout, env), printer(args.json));
    return exitStatus.success;
  },
};
