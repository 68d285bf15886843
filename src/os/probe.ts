/** What the kernel and a file system really do, tried instead of concluded from a version. */
import { environmentBlock } from "./environment.ts";
import { makeFifo } from "./fifo.ts";
import { allocateFile, closeFile, makeDirectory, makeSymlink, O, openFile, renameFile, unlinkFile } from "./file.ts";
import { tryLockByte, tryLockFile } from "./lock.ts";
import { mapFile } from "./mapping.ts";
import { ownIdentity } from "./process.ts";
import { watchChild } from "./reap.ts";
import { spawnProgram } from "./spawn.ts";
import { removeTree } from "./tree.ts";

const BYTES = 64 * 1024;

/** The parts of a bus that a file system can lack. */
export type FileFeature = "write" | "fallocate" | "mmap" | "flock" | "ofd_locks" | "fifo" | "symlink" | "rename";

/**
 * Tries them in a directory of its own below `place`, removed before this returns: no signal handler of ours runs in between. A
 * SIGKILL leaves `.new-<pid>-<start>-doctor`, which the sweep of a base removes.
 *
 * @returns those that do not work; undefined if the directory cannot be made.
 */
export function missingFileFeatures(place: string): FileFeature[] | undefined {
  const { pid, startTicks } = ownIdentity();
  const directory = `${place}/.new-${pid}-${startTicks}-doctor`;
  if (makeDirectory(directory) < 0) return undefined;
  const file = `${directory}/file`;
  const one = openFile(file, O.RDWR | O.CREAT);
  const other = openFile(file, O.RDWR);
  try {
    if (one < 0 || other < 0) return ["write"];
    const works: Record<FileFeature, boolean> = {
      write: true,
      fallocate: allocateFile(one, BYTES) === 0,
      mmap: true,
      flock: tryLockFile(one) && !tryLockFile(other),
      ofd_locks: tryLockByte(one, 7) && !tryLockByte(other, 7) && tryLockByte(other, 8),
      fifo: isFifo(`${directory}/fifo`),
      symlink: makeSymlink("file", `${directory}/link`) === 0,
      rename: renameFile(`${directory}/link`, `${directory}/file2`) === 0,
    };
    if (works.fallocate) works.mmap = isShared(one, other);
    return (Object.keys(works) as FileFeature[]).filter((feature) => !works[feature]);
  } finally {
    for (const fd of [one, other]) if (fd >= 0) closeFile(fd);
    unlinkFile(file);
    removeTree(directory);
  }
}

function isFifo(path: string): boolean {
  const fd = makeFifo(path);
  if (fd >= 0) closeFile(fd);
  return fd >= 0;
}

/** Whether a store through one mapping is seen through another. */
function isShared(one: number, other: number): boolean {
  const written = mapFile(one, BYTES);
  const read = mapFile(other, BYTES);
  const word = 0x5afe;
  if (written !== undefined) written.words[1] = word;
  const same = read?.words[1] === word;
  written?.unmap();
  read?.unmap();
  return same;
}

/** Starts `/bin/sh` and waits for its exit status; undefined if it came, else why not. */
export function missingShell(): Promise<string | undefined> {
  const status = 7;
  const spawned = spawnProgram({
    argv: ["/bin/sh", "-c", `exit ${status}`],
    environment: environmentBlock({}),
    stdin: "/dev/null",
    stdout: "/dev/null",
    stderr: "/dev/null",
    group: "session",
  });
  if (spawned.status !== "started") return Promise.resolve(spawned.detail);
  return new Promise((resolve) => {
    watchChild(
      spawned.pid,
      ({ code }) => resolve(code === status ? undefined : `/bin/sh ended with ${code}, not ${status}`),
      false,
    );
  });
}
