/** One sender of `cfn chaos`. Started by it, not by people. */
import { openBus } from "../src/bus/bus.ts";
import { Correspondent } from "../src/chaos/correspondent.ts";
import { limits } from "../src/limits.ts";
import { catchSignals, SIGKILL } from "../src/os/signals.ts";
import { signalWhenParentDies } from "../src/os/subreaper.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus, statusOfSignal } from "./exit.ts";
import { agentId, path, whole } from "./values.ts";

const args = {
  id: { type: "positional", description: "its id", value: agentId },
  generation: { type: "positional", description: "counts its lives", value: whole(1, limits.sequenceMost) },
  seed: { type: "positional", description: "what it draws from", value: whole(0, 2 ** 32 - 1) },
  parent: { type: "positional", description: "the pid of cfn chaos", value: whole(1, 2 ** 22) },
  bus: { type: "positional", description: "the bus directory", value: path },
  dir: { type: "positional", description: "the directory of evidence", value: path },
  inboxes: { type: "positional", description: "whom it writes to, with commas between" },
} as const satisfies Args;

export const chaosSenderCommand: Command<typeof args> = {
  meta: { name: "chaos-sender", description: "Exchange letters for cfn chaos (internal)", hidden: true },
  args,
  example: "cfn chaos --agents 10 --duration 3s",
  async run({ args }) {
    signalWhenParentDies(SIGKILL);
    if (process.ppid !== args.parent) return statusOfSignal(SIGKILL);
    const { id, generation, seed, dir } = args;
    const bus = openBus(args.bus);
    const correspondent = new Correspondent({ bus, id, generation, seed, dir, inboxes: args.inboxes.split(",") });
    catchSignals(["SIGTERM", "SIGINT", "SIGHUP"], () => correspondent.stop());
    await correspondent.run();
    bus.close();
    return exitStatus.success;
  },
};
