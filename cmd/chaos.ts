/** The self-proof: a swarm of real processes, killed by a seed, and the evidence. */
import { Chaos } from "../src/chaos/chaos.ts";
import { type VictimKind, victimKinds } from "../src/chaos/plan.ts";
import { chaosTable } from "../src/chaos/table.ts";
import { withBaseDir } from "../src/config/quick.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { ownExecutable } from "../src/os/executable.ts";
import { randomWord } from "../src/os/random.ts";
import { catchSignals } from "../src/os/signals.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus, statusOfSignal } from "./exit.ts";
import { print, printJson } from "./output.ts";
import { duration, path, type ValueType, whole } from "./values.ts";

const victims: ValueType<readonly VictimKind[]> = {
  expects: `some of ${victimKinds.join(",")}`,
  read: (text) => {
    const words = text.split(",");
    const known = victimKinds.filter((kind) => words.includes(kind));
    return words.every((word) => (victimKinds as readonly string[]).includes(word)) ? known : undefined;
  },
};

const args = {
  seed: { type: "string", valueHint: "N", description: "replays that plan (random)", value: whole(0, 2 ** 32 - 1) },
  agents: {
    type: "string",
    valueHint: "N",
    description: `workers alive at once (${limits.chaosAgentsDefault})`,
    value: whole(1, limits.chaosAgentsMost),
  },
  duration: {
    type: "string",
    valueHint: "D",
    description: "how long it goes on (10s)",
    value: duration(limits.chaosDurationMsLeast, limits.chaosDurationMsMost),
  },
  kill: { type: "string", valueHint: "LIST", description: `some of ${victimKinds.join(",")} (all)`, value: victims },
  keep: { type: "string", valueHint: "DIR", description: "keep the evidence there: new or empty", value: path },
  json: { type: "boolean", description: "one JSON object, with the plan and every strike" },
} as const satisfies Args;

export const chaosCommand: Command<typeof args> = {
  meta: { name: "chaos", description: "Kill parts of a swarm at random, and prove that nothing is lost" },
  args,
  example: "cfn chaos --agents 10 --duration 2s --seed 7",
  async run({ args, env }) {
    const program = ownExecutable();
    if (program === undefined) throw new CfnError("unavailable", "chaos needs the compiled cfn", "npm run build");
    const chaos = new Chaos({
      program,
      env: withBaseDir(env),
      seed: args.seed ?? randomWord(),
      agents: args.agents ?? limits.chaosAgentsDefault,
      durationMs: args.duration ?? limits.chaosDurationMs,
      kinds: args.kill ?? victimKinds,
      keep: args.keep,
    });
    let caught = 0;
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      caught ||= signal;
      chaos.interrupt();
    });
    const outcome = await chaos.run();
    if (outcome === undefined) return statusOfSignal(caught);
    if (args.json) printJson(outcome);
    else print(chaosTable(outcome));
    return outcome.clean ? exitStatus.success : exitStatus.taskFailed;
  },
};
