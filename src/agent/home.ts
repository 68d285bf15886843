/**
 * The bus of agents that nobody's run started: `<base>/default`. The first one makes it, the last one takes it away.
 *
 * Whoever is on it shares the lock on its file `owner` (`createBus`). The last one gives its share up and tries for the whole
 * lock: having that, nobody else is on the bus, and nobody comes to it until it is gone, for `createBus` finds the lock taken
 * and says so; such a newcomer tries again.
 */
import { openBus } from "../bus/bus.ts";
import type { Bus } from "../bus/contract.ts";
import { claimBus, createBus } from "../bus/creation.ts";
import { busBase, type Env } from "../bus/directory.ts";
import { destroyBus } from "../bus/removal.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs, sleepMs } from "../os/clock.ts";
import { closeFile, O, openFile, statPath } from "../os/file.ts";
import { tryLockFile } from "../os/lock.ts";

export interface Home {
  readonly bus: Bus;
  readonly warning?: string;
  /** Closes the bus and, if it is the default one, takes it away if nobody is on it and no message is unread. */
  leave(): void;
}

/** Joins the bus `dir`, or the default one, which is made if need be. */
export function enterHome(dir: string | undefined, env: Env): Home {
  if (dir !== undefined) {
    const bus = openBus(dir);
    const release = claimBus(dir);
    return {
      bus,
      leave: () => {
        bus.close();
        release();
      },
    };
  }
  const base = busBase(env);
  const home = `${base.dir}/default`;
  const bus = joinDefault(home);
  return {
    bus,
    ...(base.warning === undefined ? {} : { warning: base.warning }),
    leave: () => leaveDefault(home, bus),
  };
}

function joinDefault(dir: string): Bus {
  const until = monotonicMs() + limits.homeWaitMs;
  for (;;) {
    try {
      createBus(dir);
      return openClaimed(dir);
    } catch (error) {
      // It is being taken away by the one that left last.
      const passing = error instanceof CfnError && error.code === "unavailable" && monotonicMs() < until;
      if (!passing) throw error;
      sleepMs(limits.homeRetryMs);
    }
  }
}

/** A bus that cannot be opened is not held either: the claim may be one on a bus that is gone. */
function openClaimed(dir: string): Bus {
  try {
    return openBus(dir);
  } catch (error) {
    claimBus(dir)();
    throw error;
  }
}

function leaveDefault(dir: string, bus: Bus): void {
  bus.sweep(); // Agents that died here, with their wrapper, do not keep the bus.
  globalThis.crashPoint?.("home.swept");
  // While this process still holds the bus: what stands under its name later may be another.
  const owner = openFile(`${dir}/owner`, O.RDWR);
  claimBus(dir)();
  globalThis.crashPoint?.("home.unclaimed");
  // Looked at only now: before, two that leave at once would each take the other for one that stays.
  const isLast = owner >= 0 && tryLockFile(owner) && isNamed(owner, `${dir}/owner`);
  const isRead = isLast && bus.agents().every(({ depth }) => depth.data + depth.control === 0);
  bus.close();
  if (isRead) destroyBus(dir);
  if (owner >= 0) closeFile(owner);
}

const isNamed = (fd: number, path: string): boolean =>
  statPath(path)?.inode === statPath(`/proc/self/fd/${fd}`, true)?.inode;
