/** A bus base of one test's own under /dev/shm, and the proof that the test left nothing there. */
import { expect } from "bun:test";
import { mkdirSync, readdirSync, rmSync } from "node:fs";

let made = 0;

/** What lies in a directory that somebody else may make or remove just now; nothing where it is not there. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Calls `use` with a fresh, empty directory for `CFN_MESSAGE_BASE_DIR` and removes it afterwards. Where the test itself
 * passed, the directory must be empty or gone by then; `leaves: true` is for tests whose subject is what is left.
 */
export async function withBusBase<T>(
  use: (base: string) => T | Promise<T>,
  options: { readonly leaves?: boolean } = {},
): Promise<T> {
  const base = `/dev/shm/cfn-test-${process.pid}-${++made}`;
  mkdirSync(base, { mode: 0o700 });
  try {
    const result = await use(base);
    const left = namesIn(base);
    if (options.leaves !== true) expect(left, `left in ${base}`).toEqual([]);
    return result;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
