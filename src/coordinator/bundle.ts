/**
 * Between master and coordinators one message carries many tasks, or many results: what a message costs on its way is then paid
 * once for all of them. Each still counts by an id of its own, its message's and its place in that. Pure.
 */
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";

/** Few enough that who takes a message has begun with them before the next is made. */
const MOST = 32;
/** About what one record holds without a measurement of its bytes; one that is longer by itself goes alone. */
const CHARS_MOST = 5000;

/** In order, none empty. */
export function bundlesOf<T>(all: readonly T[], charsOf: (one: T) => number): T[][] {
  const bundles: T[][] = [];
  let bundle: T[] = [];
  let chars = 0;
  for (const one of all) {
    const more = charsOf(one);
    if (bundle.length === 0 || bundle.length === MOST || chars + more > CHARS_MOST) {
      bundle = [];
      bundles.push(bundle);
      chars = 0;
    }
    bundle.push(one);
    chars += more;
  }
  return bundles;
}

/** The id by which the `n`th of a message counts. */
export const entryId = (msgId: string, n: number): string => `${msgId}#${n}`;

/** About how long it is as JSON, names and numbers included. */
export function taskChars({ task_id, run, input, env, cwd }: TaskPayload): number {
  let chars = 90 + task_id.length + (input?.length ?? 0) + (cwd?.length ?? 0);
  if (typeof run === "string") chars += run.length;
  else for (const word of run) chars += word.length + 3;
  if (env !== undefined) for (const name in env) chars += name.length + (env[name] as string).length + 6;
  return chars;
}

/** The same of a result. */
export const resultChars = ({ task_id, agent_id, detail }: ResultPayload): number =>
  230 + task_id.length + agent_id.length + (detail?.length ?? 0);
