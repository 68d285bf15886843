/** What a process is to its descendants and to its parent (`prctl`). */
import { openLibc, types } from "./libc.ts";

const { i64, i32 } = types;
const { prctl } = openLibc({ prctl: { args: [i32, i64, i64, i64, i64], returns: i32 } });

const SET_PDEATHSIG = 1;
const SET_CHILD_SUBREAPER = 36;

/**
 * Descendants whose parent dies become children of this process instead of init, so that none is out of reach
 * (`descendants.ts`) and their exits are seen (`reap.ts`). False where the kernel refuses.
 */
export function becomeSubreaper(): boolean {
  return prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) === 0;
}

/**
 * This process gets `signal` when its parent dies. Call it first and compare the parent's pid afterwards: a parent that
 * died before sends nothing.
 */
export function signalWhenParentDies(signal: number): boolean {
  return prctl(SET_PDEATHSIG, signal, 0, 0, 0) === 0;
}
