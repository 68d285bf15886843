/** One coordinator of a hybrid swarm. Started by `cfn run`, not by people. */
import { openBus } from "../src/bus/bus.ts";
import { Member } from "../src/coordinator/member.ts";
import { limits } from "../src/limits.ts";
import { LaunchInTurns } from "../src/os/launch.ts";
import { raiseDescriptors } from "../src/os/rlimits.ts";
import { catchSignals, SIGTERM } from "../src/os/signals.ts";
import { becomeSubreaper, signalWhenParentDies } from "../src/os/subreaper.ts";
import { endAtBug } from "./bug.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus, statusOf, statusOfSignal } from "./exit.ts";
import { agentEnvironment, hosting } from "./hosting.ts";
import { memberMeterOf, memberMetricsArgs } from "./membermetrics.ts";
import { agentId, path, whole } from "./values.ts";

const args = {
  id: { type: "positional", description: "its id", value: agentId },
  master: { type: "positional", description: "the id of the master", value: agentId },
  parent: { type: "positional", description: "the pid of the master", value: whole(1, 2 ** 22) },
  workers: { type: "positional", description: "how many", value: whole(1, limits.agentsMax) },
  run: { type: "positional", description: "the run's id", value: agentId },
  bus: { type: "positional", description: "the bus directory", value: path },
  spool: { type: "positional", description: "the directory of output files", value: path },
  grace: { type: "positional", description: "from TERM to KILL, ms", value: whole(0, limits.graceMsMax) },
  look: { type: "positional", description: "agents are looked at so often, ms", value: whole(1, limits.timeoutMsMax) },
  stall: { type: "positional", description: "idle so long, one stalls, ms", value: whole(1, limits.timeoutMsMax) },
  ...memberMetricsArgs,
} as const satisfies Args;

export const coordinatorCommand: Command<typeof args> = {
  meta: { name: "coordinator", description: "Lead one team of a hybrid swarm (internal)", hidden: true },
  args,
  guard: endAtBug,
  example: "cfn run --topology hybrid -- true",
  async run({ args, env }) {
    signalWhenParentDies(SIGTERM);
    if (process.ppid !== args.parent) return statusOfSignal(SIGTERM);
    becomeSubreaper();
    raiseDescriptors(limits.descriptorsPerProcess);
    const bus = openBus(args.bus);
    const seats = Array.from({ length: args.workers }, (_, n) => `${args.id}-w${n + 1}`);
    const { run: runId, spool, grace: graceMs } = args;
    const health = { intervalMs: args.look, stalledAfterMs: args.stall };
    const launcher = new LaunchInTurns();
    const openHost = hosting({ bus, runId, spool, env: agentEnvironment(env), graceMs, health, launcher });
    const member = new Member({ bus, id: args.id, master: args.master, runId, seats, openHost });
    const meter = memberMeterOf(args, member, bus);
    const abandoned = new Promise<number>((resolve) => {
      catchSignals(["SIGTERM", "SIGINT", "SIGHUP"], (signal) => {
        void member.abandon(graceMs).then(() => resolve(statusOfSignal(signal)));
      });
    });
    const ended = member.run().then((how) => (how === "done" ? exitStatus.success : statusOf("refused")));
    const status = await Promise.race([ended, abandoned]);
    meter?.end(status, member.hierarchical);
    bus.close();
    return status;
  },
};
