/** This program as others may start it. */

/** Whether this is the compiled binary, and not the sources under Bun. */
const compiled = (): boolean => Bun.main.startsWith("/$bunfs/");

/** The compiled binary's path; undefined when the sources run under Bun. */
export function ownExecutable(): string | undefined {
  return compiled() ? process.execPath : undefined;
}
