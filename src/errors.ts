/**
 * Failures that end a command. Each carries a code of a closed union; `cmd/` alone turns a code into an exit status.
 * Outcomes that a caller is expected to act on ("full", "gone", "empty") are not here: they are named results of the call.
 */
export type ErrorCode =
  | "usage" // 64 the command line or the configuration is wrong
  | "malformed" // 65 the input (task file, JSON payload) is wrong
  | "not_found" // 66 no such agent, run or file
  | "unavailable" // 69 the bus is not there or cannot serve
  | "cannot_create" // 73 a file or directory cannot be created
  | "try_again" // 75 full, or busy for longer than the timeout
  | "refused" // 77 an unsafe directory, a missing permission
  | "timed_out"; // 124

/** A failure to tell the user. `message` states the action, the value and the limit; `remedy` says what to do. */
export class CfnError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy = "",
  ) {
    super(message);
    this.name = "CfnError";
  }
}

/** Whether something was busy, or the system had too little of it just then: what was tried may be tried again. */
export const isPassing = (error: unknown): boolean => error instanceof CfnError && error.code === "try_again";

/** What `ask` gives, or undefined where that failed for a reason that passes: the caller asks again. Throws whatever else it throws. */
export function orLater<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (isPassing(error)) return undefined;
    throw error;
  }
}
