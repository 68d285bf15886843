/** Looks at whatever run is under way, one after the other. */
import { CfnError } from "../errors.ts";
import { Observer } from "./observer.ts";
import type { RunHead, RunView } from "./runview.ts";

/** Each undefined where there is no run. */
export interface Looks {
  head(): RunHead | undefined;
  view(): RunView | undefined;
}

/**
 * `locate` says which bus is meant; where it throws a CfnError there is none, and the next look asks again. So it does when a bus
 * has gone away.
 */
export function followingLooks(locate: () => string): Looks {
  let observer: Observer | undefined;
  const open = (): Observer | undefined => {
    try {
      return new Observer(locate());
    } catch (error) {
      if (error instanceof CfnError) return undefined;
      throw error;
    }
  };
  const following = <View>(look: (by: Observer) => View | undefined): View | undefined => {
    const view = observer && look(observer);
    if (view !== undefined) return view;
    observer?.close();
    observer = open();
    return observer && look(observer);
  };
  return { head: () => following((by) => by.head()), view: () => following((by) => by.look(false)) };
}
