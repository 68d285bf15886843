/** A look that accuses nobody for what another one a moment later explains. */
import { limits } from "../limits.ts";
import { systemMs } from "../os/clock.ts";
import type { RunHead } from "./runview.ts";

const WAITS_MS = { death: limits.deathSecondLookMs, beat: limits.beatSecondLookMs } as const;
const LOOKS_MOST = 4;

/**
 * `look` once more where it is suspicious: a process that has just died is perhaps one that its run has ended, which its host
 * says in a moment; a beat that is late for us may be one that we, or the whole machine, were stopped at. A wait that itself took
 * far longer than it should proves nothing, and is repeated.
 */
export async function settledLook<View extends RunHead>(look: () => View | undefined): Promise<View | undefined> {
  let view = look();
  for (let looks = 1; looks < LOOKS_MOST; looks++) {
    const suspicion = view?.suspicion ?? "none";
    if (suspicion === "none") break;
    const wait = WAITS_MS[suspicion];
    const before = systemMs();
    await new Promise((resolve) => setTimeout(resolve, wait));
    const heldUp = systemMs() - before > wait + limits.beatSecondLookMs;
    view = look();
    if (!heldUp) break;
  }
  return view;
}
