/** The surroundings of one run, from their making to their removal: the bus, the directory for output, the guardian. */
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { createBus } from "../src/bus/creation.ts";
import { destroyBus } from "../src/bus/removal.ts";
import type { RunEnd } from "../src/coordinator/contract.ts";
import { Guardian } from "../src/coordinator/guardian.ts";
import { makeSpool, planSpool } from "../src/coordinator/spool.ts";
import { clearedSubgroup } from "../src/os/cgroup.ts";
import { becomeSubreaper } from "../src/os/subreaper.ts";
import { removeTree } from "../src/os/tree.ts";
import { spared } from "./bug.ts";

export interface RunPlace {
  readonly busDir: string;
  readonly tmp: string | undefined;
  readonly path: string | undefined;
  readonly runId: string;
  /** A descriptor that the guardian holds until the run's processes are gone. */
  readonly holds: number | undefined;
  readonly bounds: Parameters<typeof createBus>[1];
  readonly onWarning: (text: string) => void;
  readonly onInfo: (text: string) => void;
  /** Somebody looks on: what is a limitation of most machines is said too. */
  readonly talks: boolean;
}

/** Begins the name of a run's control group. */
const GROUP = "cfn-";

type Use = (bus: Bus, spool: string, guardian: Guardian) => Promise<RunEnd>;

/** Makes them, and removes them whatever happens. Says what cannot be guaranteed on this machine. */
export async function onBus(there: RunPlace, use: Use): Promise<RunEnd> {
  const { busDir, tmp, path, runId, holds, onWarning, onInfo, talks, bounds } = there;
  const spool = planSpool(busDir, tmp, runId);
  // It gets ready while the bus is made.
  const wanted = clearedSubgroup(GROUP, runId);
  const guardian = new Guardian({ runId, busDir, spool, group: wanted, holds, path, onWarning });
  if (guardian.pid > 0) spared.push(guardian.pid);
  try {
    createBus(busDir, bounds);
    makeSpool(spool);
    if (!becomeSubreaper())
      onWarning("the kernel does not let this process be a subreaper: what agents leave behind is not found");
    if (guardian.group === undefined && talks) {
      onInfo(
        "no control group of its own: if cfn is killed, an agent with a session and an environment of its own stays",
      );
    }
    const bus = openBus(busDir);
    // It stays mapped: where a run broke off, timers may still look at it.
    return await use(bus, spool, guardian);
  } finally {
    removeTree(spool);
    destroyBus(busDir);
    await guardian.dismiss();
  }
}
