/**
 * Reading and writing that must not stop the event loop: a pipe may make us wait. Done on Bun's worker threads, one call
 * at a time per stream. Loads `node:fs`, so the message commands must not import it.
 */
import { close, fdatasync, fsync, open, read, write } from "node:fs";

/** Reads some bytes into `into`: how many, 0 at the end. Rejects with an error whose `code` is the errno's name. */
export function readSome(fd: number, into: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, into.length, null, (error, got) => (error === null ? resolve(got) : reject(error)));
  });
}

/** Writes all of `bytes`. Rejects with an error whose `code` is the errno's name. */
export async function writeWhole(fd: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, done, bytes.length - done, null, (error, wrote) => {
        if (error === null) resolve(wrote);
        else if ((error as NodeJS.ErrnoException).code === "EAGAIN") setTimeout(resolve, 5, 0);
        else reject(error);
      });
    });
  }
}

/** Resolves when what was written to the file is on its disk, or could not be brought there: nobody could do better. */
export function syncData(fd: number): Promise<void> {
  return new Promise((resolve) => fdatasync(fd, () => resolve()));
}

/** The same for a file or directory by its path, with its names and sizes. */
export function syncPath(path: string): Promise<void> {
  return new Promise((resolve) => {
    open(path, "r", (error, fd) => {
      if (error !== null) resolve();
      else fsync(fd, () => close(fd, () => resolve()));
    });
  });
}

/** The rest of this turn of the event loop goes first: timers, signals, doorbells. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
