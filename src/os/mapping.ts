/** Shared memory: a file mapped into this process. */
import { assert } from "../assert.ts";
import { libc, memoryAt } from "./libc.ts";

const READ_WRITE = 3;
const SHARED = 1;
/** Enters all pages at once: a page fault each costs a writer that fills them one by one three times as much. */
const POPULATE = 0x8000;

export interface Mapping {
  readonly bytes: Uint8Array;
  /** The same memory as 32-bit words, for Atomics. */
  readonly words: Uint32Array;
  readonly length: number;
  /** Ends the mapping. Touching `bytes` or `words` afterwards kills the process. */
  unmap(): void;
}

/**
 * Maps the first `length` bytes of an open file, shared. The file must really hold them (`allocateFile`): a store beyond
 * the end or into a hole of a full tmpfs is SIGBUS. `whole` for memory that will be written from end to end. Undefined
 * where the kernel has no room for it.
 */
export function mapFile(fd: number, length: number, whole = false): Mapping | undefined {
  assert(length > 0 && length % 8 === 0, `a mapping is a positive multiple of 8 bytes, not ${length}`);
  const pointer = libc.mmap(length, READ_WRITE, whole ? SHARED | POPULATE : SHARED, fd);
  if (pointer <= 0) return undefined;
  const memory = memoryAt(pointer, length);
  return {
    bytes: new Uint8Array(memory),
    words: new Uint32Array(memory),
    length,
    unmap: () => {
      libc.munmap(pointer, length);
    },
  };
}
