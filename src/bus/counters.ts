/**
 * What a shard counts for whoever looks on: words of its header that nothing is decided by. They are neither sealed nor
 * covered by `dirty`: a death may lose one count, and damage may make them anything, which no message suffers from.
 */
import type { Appended } from "./append.ts";
import { H } from "./layout.ts";

/** With or without the lock. `counts` is the header. */
export function countOne(counts: Uint32Array, at: number): number {
  return Atomics.add(counts, at, 1);
}

/** An attempt to append. */
export function countOutcome(
  counts: Uint32Array,
  { status, what }: { status: Appended["status"]; what?: string },
): void {
  if (status === "full") countOne(counts, what === "inbox" ? H.refusedInboxFull : H.refusedBusFull);
  else if (status === "accepted") {
    if (countOne(counts, H.accepted) === 0xffff_ffff) countOne(counts, H.acceptedHigh);
  }
}

/** Of a 64-bit count whose halves are written one after the other. */
export const acceptedOf = (counts: Uint32Array): number =>
  (counts[H.acceptedHigh] as number) * 2 ** 32 + (counts[H.accepted] as number);
