/** Takes a killed run over, once nothing of it is alive any more. */
import { busBase, type Env, isBus } from "../src/bus/directory.ts";
import { sweepDeadBuses } from "../src/bus/removal.ts";
import { type HeldFolder, masterOf, type RunFolder, takeJournal } from "../src/coordinator/journalfolder.ts";
import { stillAlive } from "../src/coordinator/journalread.ts";
import { sweepSpool } from "../src/coordinator/spool.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { monotonicMs, sleepMs } from "../src/os/clock.ts";

const RETRY_MS = 50;

/**
 * Waits for whoever still ends the processes of the killed run, then removes its bus and its spool.
 *
 * @throws CfnError try_again, where that takes longer than `limits.journalOwnerWaitMs`, or somebody else has resumed it meanwhile
 */
export function takeRun(folder: RunFolder, env: Env): HeldFolder {
  const until = monotonicMs() + limits.journalOwnerWaitMs;
  const wait = (why: string): void => {
    const pid = masterOf(folder);
    if (pid !== undefined && pid !== process.pid) throw stillAlive(folder, pid);
    if (monotonicMs() >= until) {
      const what = `processes of the run ${folder.runId} are still there: ${why}`;
      throw new CfnError("try_again", what, "wait until they have ended");
    }
    sleepMs(RETRY_MS);
  };
  let held = takeJournal(folder);
  for (; held === "busy"; held = takeJournal(folder)) wait(`its journal ${folder.path} is held`);
  const { dir } = busBase(env);
  const bus = `${dir}/run-${folder.runId}`;
  for (sweepDeadBuses(dir); isBus(bus); sweepDeadBuses(dir)) wait(`its bus ${bus} is in use`);
  sweepSpool(env["TMPDIR"], folder.runId);
  return held;
}
