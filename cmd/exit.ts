/** Exit statuses, as `cfn --help` and the README list them. */
import type { ErrorCode } from "../src/errors.ts";

export const exitStatus = {
  success: 0,
  /** The run ended and at least one task did not succeed. */
  taskFailed: 1,
  /** Somebody is unhealthy or dead. */
  notWell: 1,
  bug: 70,
  /** Ended as by SIGPIPE: whoever read our output went away. */
  outputClosed: 141,
} as const;

const ofCode: Record<ErrorCode, number> = {
  usage: 64,
  malformed: 65,
  not_found: 66,
  unavailable: 69,
  cannot_create: 73,
  try_again: 75,
  refused: 77,
  timed_out: 124,
};

export function statusOf(code: ErrorCode): number {
  return ofCode[code];
}

/** What is still to be said when a command has ended, however it did: run in order before the process exits. */
export const beforeExit: (() => Promise<void>)[] = [];

/** Ended by this signal, as a shell reports it. */
export function statusOfSignal(signal: number): number {
  return 128 + signal;
}
