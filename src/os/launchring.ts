/**
 * What the launcher (`launch.ts`) and its thread (`launchthread.ts`) share: three words and a ring of frames. The launcher
 * fills the frame after the last one and raises `submitted`; the thread raises `done` when it has written its outcome.
 */

/** How many programs may be handed to the thread and not yet told of. */
export const FRAMES = 16;
const FRAME_WORDS = 16;
const HEAD_WORDS = 16;

export const RING_BYTES = (HEAD_WORDS + FRAMES * FRAME_WORDS) * 4;

/** Words of the ring's head, and of a frame. */
export const W = {
  submitted: 0,
  done: 1,
  closed: 2,
  /** The addresses for `posix_spawn` in its order, five doubles: program, actions, attributes, arguments, environment. */
  addresses: 0,
  /** When the call was made: a double, Unix milliseconds. */
  unixMs: 10,
  /** The pid, or the negated error number. */
  outcome: 12,
} as const;

/** First word of frame `n`. */
export const frameAt = (n: number): number => HEAD_WORDS + n * FRAME_WORDS;

/** The first message to the thread. */
export interface RingMessage {
  readonly ring: SharedArrayBuffer;
  /** Where it begins, for system calls. */
  readonly address: number;
}
