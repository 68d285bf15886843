/** Named pipes as doorbells: a byte that wakes a sleeping process. */
import { closeFile, O, openFile, pollFile, readInto } from "./file.ts";
import { cString, E, errno, libc, pointerTo } from "./libc.ts";

const drained = new Uint8Array(4096);
const ringByte = new Uint8Array([1]);

/** Makes a FIFO and opens it for reading; it is also open for writing here, so that it never reports its end. -errno. */
export function makeFifo(path: string): number {
  if (globalThis.outOfSpace?.("mkfifo")) return -E.NOSPC;
  if (libc.mkfifo(cString(path), 0o600) < 0) return -errno();
  return openFile(path, O.RDWR | O.NONBLOCK);
}

/** Opens another process's FIFO for ringing; -E.NXIO if nobody reads it, -E.NOENT if it is gone. */
export function openToRing(path: string): number {
  return openFile(path, O.WRONLY | O.NONBLOCK);
}

/** Rings. A full pipe has been rung already. False if nobody reads it any more. */
export function ring(fd: number): boolean {
  return libc.write(fd, pointerTo(ringByte), 1) >= 0 || errno() === 11;
}

/** Blocks the process until there is a byte in `fd` or `timeoutMs` has passed; empties it. */
export function waitForRing(fd: number, timeoutMs: number): void {
  if (pollFile(fd, 1, timeoutMs)) readInto(fd, drained);
}

/** Calls `onRing` from the event loop whenever bytes come, until the returned function is called; that closes `fd`. */
export function listenForRings(fd: number, onRing: () => void): () => void {
  const reader = Bun.file(fd).stream().getReader();
  let open = true;
  const pump = async (): Promise<void> => {
    while (open) {
      const rung = await reader.read().catch(() => undefined); // Cancelled by the close below.
      if (rung === undefined || rung.done || !open) return;
      onRing();
    }
  };
  void pump();
  return () => {
    open = false;
    void reader.cancel();
    closeFile(fd);
  };
}
