/** A broken assertion is a bug of ours, never of the input. Assertions stay on in the shipped binary. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/** Throws AssertionFailure unless `condition` holds; the edge turns that into exit 70. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(what);
}
