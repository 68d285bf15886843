/** The thread of a launcher (`launch.ts`): nothing but `posix_spawn`, until the ring is closed. */
import { FRAMES, frameAt, type RingMessage, W } from "./launchring.ts";
import { openLibc, types } from "./libc.ts";

declare const self: Worker;

const { i32, ptr } = types;
const { posix_spawn } = openLibc({ posix_spawn: { args: [ptr, ptr, ptr, ptr, ptr, ptr], returns: i32 } });

function serve({ ring, address }: RingMessage): void {
  const words = new Int32Array(ring);
  const numbers = new Float64Array(ring);
  for (let done = 0; ; ) {
    Atomics.wait(words, W.submitted, done);
    if (Atomics.load(words, W.closed) !== 0) return;
    if (Atomics.load(words, W.submitted) === done) continue;
    const frame = frameAt(done % FRAMES);
    const at = (frame + W.addresses) / 2;
    numbers[(frame + W.unixMs) / 2] = Date.now();
    const error = posix_spawn(
      address + (frame + W.outcome) * 4,
      numbers[at] as number,
      numbers[at + 1] as number,
      numbers[at + 2] as number,
      numbers[at + 3] as number,
      numbers[at + 4] as number,
    );
    if (error !== 0) words[frame + W.outcome] = -error;
    done++;
    Atomics.store(words, W.done, done);
    // The launcher looks whenever a child ends; it must be told when the ring runs dry.
    const left = Atomics.load(words, W.submitted) - done;
    if (left === 0 || left === FRAMES / 2) self.postMessage(0);
  }
}

self.onmessage = ({ data }: MessageEvent<RingMessage>) => serve(data);
