/**
 * Doorbells: one FIFO per process that waits. A waiting process writes its bell's number into the slots it waits for; the
 * sender that finds one takes it down and rings once. So a busy receiver costs its senders nothing, and a thousand messages
 * to a sleeping one cost one ring.
 */

import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { listenForRings, makeFifo, openToRing, ring, waitForRing } from "../os/fifo.ts";
import { closeFile, unlinkFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { randomWord } from "../os/random.ts";
import type { Bell } from "./contract.ts";
import { A, type ChainNumber } from "./layout.ts";
import type { Shard } from "./shard.ts";
import { slotWord } from "./slots.ts";

export const bellPath = (busDir: string, bell: number): string => `${busDir}/bells/${bell.toString(16)}`;

/** Rings bells of other processes; keeps the last few open, since a host rings the same one again and again. */
export class Ringer {
  private readonly open = new Map<number, number>();

  constructor(private readonly busDir: string) {}

  ring(bell: number): void {
    let fd = this.open.get(bell);
    if (fd === undefined) {
      fd = openToRing(bellPath(this.busDir, bell));
      if (fd < 0) return; // Its process is gone: whoever comes next looks for itself.
      if (this.open.size >= 16) this.close();
      this.open.set(bell, fd);
    }
    if (!ring(fd)) {
      closeFile(fd);
      this.open.delete(bell);
    }
  }

  close(): void {
    for (const fd of this.open.values()) closeFile(fd);
    this.open.clear();
  }
}

/** Where a chain's bell word is: the slot can move only by unregistering. */
export type FindWord = (id: string, chain: ChainNumber) => { readonly shard: Shard; readonly slot: number } | undefined;

/** Makes this process's bell. Throws cannot_create where the bus has no room for it. */
export function makeBell(busDir: string, find: FindWord, chainOf: (chain: "data" | "control") => ChainNumber): Bell {
  const number = randomWord();
  const path = bellPath(busDir, number);
  const fd = makeFifo(path);
  if (fd < 0)
    throw new CfnError("cannot_create", `cannot create the bell ${path}: ${errorText(-fd)}`, "free some space there");
  globalThis.crashPoint?.("bell.made");
  const armed = new Map<string, { id: string; chain: ChainNumber }>();
  let stop = (): void => closeFile(fd);

  const hang = ({ id, chain }: { id: string; chain: ChainNumber }): void => {
    const at = find(id, chain);
    if (at !== undefined) Atomics.store(at.shard.index.words, slotWord(at.slot) + A.bell + chain, number);
  };
  const rehang = (): void => {
    for (const one of armed.values()) hang(one);
  };

  return {
    arm(id, chain) {
      const one = { id, chain: chainOf(chain) };
      armed.set(`${id} ${chain}`, one);
      hang(one);
      globalThis.crashPoint?.("bell.hung");
    },
    disarm(id, chain) {
      armed.delete(`${id} ${chain}`);
      const at = find(id, chainOf(chain));
      if (at !== undefined) {
        Atomics.compareExchange(at.shard.index.words, slotWord(at.slot) + A.bell + chainOf(chain), number, 0);
      }
    },
    waitSync(timeoutMs) {
      waitForRing(fd, Math.min(timeoutMs, limits.pollMs));
    },
    listen(onRing) {
      stop = listenForRings(fd, () => {
        rehang();
        onRing();
      });
    },
    close() {
      for (const { id, chain } of armed.values()) {
        const at = find(id, chain);
        if (at !== undefined)
          Atomics.compareExchange(at.shard.index.words, slotWord(at.slot) + A.bell + chain, number, 0);
      }
      globalThis.crashPoint?.("bell.closing");
      armed.clear();
      stop();
      unlinkFile(path);
    },
  };
}
