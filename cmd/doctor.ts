/** Whether this machine can run a swarm: each thing that a run needs, with its figure, verdict and remedy. */
import { basesOf } from "../src/bus/directory.ts";
import { loadSettings } from "../src/config/load.ts";
import { verdictOf } from "../src/doctor/check.ts";
import { examine } from "../src/doctor/examine.ts";
import { places } from "../src/doctor/gather.ts";
import { removeLeftovers } from "../src/doctor/leftovers.ts";
import { smokeCheck } from "../src/doctor/smoke.ts";
import { doctorTable } from "../src/doctor/table.ts";
import { limits } from "../src/limits.ts";
import { signalProcess } from "../src/os/process.ts";
import { catchSignals, SIGTERM } from "../src/os/signals.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus, statusOfSignal } from "./exit.ts";
import { print, printJson } from "./output.ts";
import { configOption, optionOf, optionsGiven } from "./settings.ts";
import { environmentOf } from "./undertaking.ts";

const args = {
  agents: { ...optionOf("run.agents"), description: `judge it for so many (${limits.doctorAgentsDefault})` },
  smoke: { type: "boolean", description: "also run a swarm of three that talk to each other" },
  fix: { type: "boolean", description: "first remove what dead runs left; without it nothing is changed" },
  json: { type: "boolean", description: "one JSON object" },
  config: configOption,
} as const satisfies Args;

export const doctorCommand: Command<typeof args> = {
  meta: { name: "doctor", description: "Check what a run needs of this machine, and say what to do" },
  args,
  example: "cfn doctor --agents 708",
  async run({ args: given, env: variables }) {
    const { settings } = loadSettings({ env: variables, options: optionsGiven(args, given), file: given.config });
    const env = environmentOf(settings, variables);
    // What is under way is finished or ended, and cleared away, before a signal ends this process.
    let caught = 0;
    let swarm = 0;
    catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
      caught ||= signal;
      if (swarm > 0) signalProcess(swarm, SIGTERM);
    });
    const started = (pid: number): void => {
      swarm = pid;
      if (caught > 0) signalProcess(pid, SIGTERM);
    };
    const fixed = given.fix ? removeLeftovers(places(env, basesOf(env))) : undefined;
    const seen = await examine(env, settings.run.agents ?? limits.doctorAgentsDefault);
    const checks = given.smoke ? [...seen.checks, await smokeCheck(env, started)] : seen.checks;
    if (caught > 0) return statusOfSignal(caught);
    const examination = { ...seen, checks, verdict: verdictOf(checks), ...(fixed === undefined ? {} : { fixed }) };
    if (given.json) printJson(examination);
    else print(doctorTable(examination));
    return examination.verdict === "fail" ? exitStatus.taskFailed : exitStatus.success;
  },
};
