import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { Draft, Json } from "../src/message/message.ts";
import type { Args, Command, Values } from "./command.ts";
import { deliver, printer } from "./deliver.ts";
import { exitStatus } from "./exit.ts";
import { anonymous, busOption, fromOption, joinBus, timeoutOption, waitsFor } from "./join.ts";
import { jsonPayload, textPayload } from "./payload.ts";
import { recipient, recipientsOf } from "./recipients.ts";
import { messageId, messageType, path, whole } from "./values.ts";

const args = {
  to: {
    type: "positional",
    many: true,
    required: false,
    description: "agent id, @all, @coordinators or @team:ID; - last: stdin",
    value: recipient,
  },
  payload: { type: "string", valueHint: "JSON", description: "any JSON up to 1 MiB; - reads stdin" },
  text: { type: "string", valueHint: "S", description: "the payload as plain text" },
  type: { type: "string", valueHint: "T", description: "the type (message); alone: null", value: messageType },
  from: fromOption,
  "reply-to": { type: "string", valueHint: "ID", description: "the message that it answers", value: messageId },
  sequence: {
    type: "string",
    valueHint: "N",
    description: "a retry's number: sent once only",
    value: whole(1, limits.sequenceMost),
  },
  batch: { type: "string", valueHint: "FILE", description: "NDJSON messages; - reads stdin", value: path },
  timeout: timeoutOption,
  bus: busOption,
  json: { type: "boolean", description: "print msg_id, to, sequence and status" },
} as const satisfies Args;

export const sendCommand: Command<typeof args> = {
  meta: { name: "send", description: "Send a message; prints its id" },
  args,
  example: `cfn run --agents 1 -- sh -c 'cfn send "$CFN_AGENT_ID" --text hello; cfn recv'`,
  async run({ args, env }) {
    const from = args.from ?? anonymous;
    const timeout = waitsFor(args.timeout, env);
    if (args.batch !== undefined) {
      refuseBeside(args);
      const { sendBatchFile } = await import("./batch.ts");
      const defaults = { from, type: args.type ?? "message", timeout };
      await sendBatchFile(joinBus(args.bus, env), args.batch, defaults, printer(args.json));
      return exitStatus.success;
    }
    const isStdin = args.to[args.to.length - 1] === "-";
    const words = isStdin ? args.to.slice(0, -1) : args.to;
    if (words.length === 0) throw new CfnError("usage", "TO is missing", "name an agent, or give --batch FILE");
    if (words.includes("-")) throw new CfnError("usage", "- must stand once, after the last TO");
    const payload = await payloadOf(args, isStdin);
    const bus = joinBus(args.bus, env);
    const draft: Omit<Draft, "to"> = {
      from,
      type: args.type ?? "message",
      payload,
      ...(args["reply-to"] === undefined ? {} : { replyTo: args["reply-to"] }),
      ...(args.sequence === undefined ? {} : { sequence: args.sequence }),
    };
    const drafts: Draft[] = [];
    for (const to of recipientsOf(bus, words, from)) drafts.push({ ...draft, to });
    await deliver(bus, drafts, timeout, printer(args.json));
    return exitStatus.success;
  },
};

async function payloadOf(args: Values<typeof sendCommand.args>, isStdin: boolean): Promise<Json> {
  const { payload, text, type } = args;
  const given = Number(payload !== undefined) + Number(text !== undefined) + Number(isStdin);
  if (given > 1) throw new CfnError("usage", "more than one payload", "give one of --payload, --text and -");
  if (payload !== undefined) return jsonPayload(payload);
  if (text !== undefined || isStdin) return textPayload(text ?? "", isStdin);
  if (type === undefined)
    throw new CfnError("usage", "no payload", "give --payload JSON, --text S or -, or --type alone");
  return null;
}

function refuseBeside(args: Values<typeof sendCommand.args>): void {
  const beside = ["payload", "text", "reply-to", "sequence"] as const;
  const extra = args.to.length > 0 ? "TO" : beside.find((name) => args[name] !== undefined);
  if (extra === undefined) return;
  const name = extra === "TO" ? extra : `--${extra}`;
  throw new CfnError("usage", `${name} stands beside --batch`, "the batch's lines say it");
}
