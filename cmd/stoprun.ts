/** Which living run is meant. */
import { type Env, livingRuns } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";

/**
 * The one whose id this is or that begins so; without it the only one.
 *
 * @throws CfnError not_found, if there is none; usage, if there are several: it names them.
 */
export function chooseRun(named: string | undefined, env: Env): { readonly runId: string; readonly dir: string } {
  const all = livingRuns(env);
  const exact = all.filter(({ runId }) => runId === named);
  const meant = exact.length > 0 ? exact : all.filter(({ runId }) => named === undefined || runId.startsWith(named));
  const ids = (runs: typeof all): string => runs.map(({ runId }) => runId).join(", ");
  const [first, second] = meant;
  if (first === undefined) {
    const others = all.length === 0 ? "none is alive" : `alive: ${ids(all)}`;
    throw new CfnError("not_found", named === undefined ? "no run is alive" : `no run ${named} is alive; ${others}`);
  }
  if (second !== undefined) throw new CfnError("usage", `${meant.length} runs are alive: ${ids(meant)}`, "say which");
  return first;
}
