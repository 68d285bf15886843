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

/** Attempts to append; what the rate refuses is counted there. */
export function countOutcome(counts: Uint32Array, { accepted, refusal }: Appended): void {
  if (accepted > 0 && Atomics.add(counts, H.accepted, accepted) > 0xffff_ffff - accepted)
    countOne(counts, H.acceptedHigh);
  if (refusal?.status !== "full" || refusal.what === "rate") return;
  countOne(counts, refusal.what === "inbox" ? H.refusedInboxFull : H.refusedBusFull);
}

/** Of a 64-bit count whose halves are written one after the other. */
export const acceptedOf = (counts: Uint32Array): number =>
  (counts[H.acceptedHigh] as number) * 2 ** 32 + (counts[H.accepted] as number);
