/** Ends all that a killed `cfn chaos` left. Started by it, not by people. */
import { endMarked } from "../src/chaos/guard.ts";
import { limits } from "../src/limits.ts";
import { catchSignals, SIGTERM } from "../src/os/signals.ts";
import { signalWhenParentDies } from "../src/os/subreaper.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { path, whole } from "./values.ts";

const args = {
  mark: { type: "positional", description: "what its processes carry in their environment" },
  parent: { type: "positional", description: "the pid of cfn chaos", value: whole(1, 2 ** 22) },
  ledger: { type: "positional", description: "its bus", value: path },
  dir: { type: "positional", description: "its directory of evidence", value: path },
  evidence: { type: "positional", description: "kept or removed" },
} as const satisfies Args;

export const chaosGuardCommand: Command<typeof args> = {
  meta: { name: "chaos-guard", description: "End all of a cfn chaos that was killed (internal)", hidden: true },
  args,
  example: "cfn chaos --agents 10 --duration 3s",
  async run({ args }) {
    const { mark, parent, ledger, dir, evidence } = args;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (process.ppid !== parent) resolve();
      };
      // The signal is for promptness; whatever happens to it, the tick sees that the parent has gone.
      catchSignals(["SIGTERM", "SIGINT", "SIGHUP"], look);
      setInterval(look, limits.heartbeatMs);
      signalWhenParentDies(SIGTERM);
      look();
    });
    endMarked({ mark, ledger, dir, kept: evidence === "kept" });
    return exitStatus.success;
  },
};
