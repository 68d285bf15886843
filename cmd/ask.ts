import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { undeliveredType } from "../src/message/protocol.ts";
import { monotonicMs } from "../src/os/clock.ts";
import { catchSignals } from "../src/os/signals.ts";
import type { Args, Command } from "./command.ts";
import { deliver } from "./deliver.ts";
import { exitStatus, statusOfSignal } from "./exit.ts";
import { enrolGuest } from "./guest.ts";
import { busOption, fromOption, joinBus } from "./join.ts";
import { print } from "./output.ts";
import { textPayload } from "./payload.ts";
import { recipientsOf } from "./recipients.ts";
import { agentId, duration } from "./values.ts";

const args = {
  to: { type: "positional", description: "an agent id", value: agentId },
  question: { type: "positional", description: "text; - reads stdin" },
  from: { ...fromOption, description: "who asks (CFN_AGENT_ID)" },
  timeout: { type: "string", valueHint: "D", description: "wait so long (1m), then 124", value: duration() },
  bus: busOption,
  json: { type: "boolean", description: "print the whole answer message" },
} as const satisfies Args;

export const askCommand: Command<typeof args> = {
  meta: { name: "ask", description: "Ask an agent, wait, and print its answer" },
  args,
  example: `cfn run --agents 1 -- sh -c 'cfn ask "$CFN_AGENT_ID" "2+2?" & cfn recv --wait |
    sed "s/.*\\"msg_id\\":\\"\\([^\\"]*\\).*/\\1/" | xargs -I{} cfn reply {} 4; wait'`,
  async run({ args, env }) {
    const question = await textPayload(args.question, args.question === "-");
    const timeoutMs = args.timeout ?? limits.askTimeoutMs;
    const until = monotonicMs() + timeoutMs;
    const bus = joinBus(args.bus, env);
    const [to] = recipientsOf(bus, [args.to], "") as [string];
    const guest = enrolGuest(bus);
    const restore = catchSignals(["SIGHUP", "SIGINT", "SIGTERM"], (signal) => {
      // An answer that has just come is not dropped: where the run is ending it counts as undelivered.
      guest.leave(true);
      process.exit(statusOfSignal(signal));
    });
    try {
      let asked = "";
      const payload = { question, asker: args.from ?? null };
      await deliver(bus, [{ from: guest.id, to, type: "question", payload }], timeoutMs, ([sent]) => {
        asked = sent?.[1].msgId ?? "";
      });
      const answer = await guest.awaitAnswer(asked, until);
      if (answer === undefined) throw new CfnError("timed_out", `no answer from ${to} in ${timeoutMs} ms`);
      if (answer.type === undeliveredType) {
        const what = `no answer from ${to}: the run ended before it took the question`;
        throw new CfnError("unavailable", what, "ask again in another run");
      }
      const { payload: said } = answer;
      print(`${args.json ? JSON.stringify(answer) : typeof said === "string" ? said : JSON.stringify(said)}\n`);
      return exitStatus.success;
    } finally {
      guest.leave();
      restore();
    }
  },
};
