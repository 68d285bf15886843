/** The bus of one run, from its making to its removal. */
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { createBus, destroyBus } from "../src/bus/directory.ts";
import type { RunEnd } from "../src/coordinator/master.ts";
import { makeSpool } from "../src/coordinator/spool.ts";
import { becomeSubreaper } from "../src/os/subreaper.ts";
import { removeTree } from "../src/os/tree.ts";

/** Makes the bus of a run and the directory for its output, and removes both whatever happens. */
export async function onBus(
  busDir: string,
  tmp: string | undefined,
  runId: string,
  use: (bus: Bus, spool: string) => Promise<RunEnd>,
): Promise<RunEnd> {
  createBus(busDir);
  let spool: string | undefined;
  try {
    spool = makeSpool(busDir, tmp, runId);
    becomeSubreaper();
    const bus = openBus(busDir);
    const end = await use(bus, spool);
    bus.close();
    return end;
  } finally {
    if (spool !== undefined) removeTree(spool);
    destroyBus(busDir);
  }
}
