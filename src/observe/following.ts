/** Looks at whatever run is under way, one after the other. */
import { CfnError } from "../errors.ts";
import { Observer } from "./observer.ts";
import type { RunView } from "./runview.ts";

/**
 * `locate` says which bus is meant; where it throws a CfnError there is none, and the next look asks again. So it does when a bus
 * has gone away.
 */
export function followingLook(locate: () => string): () => RunView | undefined {
  let observer: Observer | undefined;
  const open = (): Observer | undefined => {
    try {
      return new Observer(locate());
    } catch (error) {
      if (error instanceof CfnError) return undefined;
      throw error;
    }
  };
  return () => {
    const view = observer?.look(false);
    if (view !== undefined) return view;
    observer?.close();
    observer = open();
    return observer?.look(false);
  };
}
