/** `<bus>/bin/cfn`: agents find this very executable first on their PATH. */

import { ownExecutable } from "../os/executable.ts";
import { makeDirectory, makeSymlink, statPath } from "../os/file.ts";

/** The directory to put on the PATH. Made once per bus, by whichever host is first; left out where the sources run under Bun. */
export function binDirectory(busDir: string): string {
  const bin = `${busDir}/bin`;
  const executable = ownExecutable();
  if (executable !== undefined && statPath(`${bin}/cfn`) === undefined) {
    makeDirectory(bin);
    makeSymlink(executable, `${bin}/cfn`);
  }
  return bin;
}
