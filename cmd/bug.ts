/** What becomes of a command that hosts agents when an error comes that nobody caught. */
import { limits } from "../src/limits.ts";
import { endDescendants } from "../src/os/descendants.ts";
import { catchUncaught } from "../src/os/uncaught.ts";

/** Processes that outlive this one to clean up after it: the guardian of a run. */
export const spared: number[] = [];

/**
 * Says the error, ends all agents and then this process. Without this it would wait on, for ever, for what the callback that
 * failed was to do. The bus of a run is removed by its guardian. `report` says an error and gives its exit status.
 */
export function endAtBug(report: (error: unknown) => Promise<number>): void {
  catchUncaught(async (error) => {
    const status = await report(error);
    endDescendants(limits.endWaitMs, spared);
    process.exit(status);
  });
}
