/**
 * Errors that no code caught. While the entry module waits at its top level, which a host of agents does all its life, Bun
 * prints such an error and goes on.
 */

/** Calls `onError` with the first of them; those that follow are its consequences. */
export function catchUncaught(onError: (error: unknown) => Promise<void>): void {
  let caught = false;
  const first = (error: unknown): void => {
    if (!caught) void onError(error);
    caught = true;
  };
  process.on("uncaughtException", first);
  process.on("unhandledRejection", first);
}
