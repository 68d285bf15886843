/** What will be done to whom and when: a function of the seed and the options alone. Pure. */
import { type Dice, dice } from "./dice.ts";

export const victimKinds = ["agents", "coordinators", "master", "senders"] as const;
export type VictimKind = (typeof victimKinds)[number];

/**
 * `kill`: SIGKILL. `stop`: SIGSTOP, SIGCONT after `forMs`. `starve`: stopped for most of each of many short slices, for
 * `forMs`. `flood`: its inbox on the run's bus is filled with data messages. `hold`: a sink is not read for `forMs`, so that
 * it fills up before the senders.
 */
export const deeds = ["kill", "stop", "starve", "flood", "hold"] as const;
export type Deed = (typeof deeds)[number];

export interface Strike {
  /** After the first agent started. */
  readonly atMs: number;
  readonly victim: VictimKind;
  readonly deed: Deed;
  /** 0 where the deed has no length. */
  readonly forMs: number;
  /** In [0, 1): which of those that live then. */
  readonly pick: number;
}

export interface PlanRequest {
  readonly seed: number;
  readonly agents: number;
  readonly durationMs: number;
  readonly kinds: readonly VictimKind[];
}

interface Habit {
  /** Strikes for a duration of so many seconds on so many agents. */
  readonly count: (seconds: number, agents: number) => number;
  /** The first deed is always the first of these; the others by weight. */
  readonly deeds: readonly (readonly [Deed, weight: number, leastMs: number, mostMs: number])[];
}

const habits: Readonly<Record<VictimKind, Habit>> = {
  agents: {
    count: (seconds, agents) => seconds * Math.min(8, Math.max(1, agents / 40)),
    deeds: [
      ["kill", 6, 0, 0],
      ["stop", 3, 50, 1500],
      ["starve", 1, 200, 800],
    ],
  },
  coordinators: {
    // Fewer after a while: one that keeps dying is started again later and later, and in the end not at all.
    count: (seconds) => Math.min(seconds, 30) / 2 + Math.max(0, seconds - 30) / 15,
    deeds: [
      ["kill", 6, 0, 0],
      // Long enough, at times, to be taken for hung.
      ["stop", 2, 50, 6000],
      ["starve", 1, 200, 1000],
      ["flood", 1, 0, 0],
    ],
  },
  master: {
    count: (seconds) => seconds / 12,
    deeds: [
      ["kill", 6, 0, 0],
      ["stop", 3, 50, 1500],
      ["starve", 1, 200, 1000],
    ],
  },
  senders: {
    count: (seconds) => seconds / 1.5,
    deeds: [
      ["kill", 5, 0, 0],
      ["stop", 2, 50, 1500],
      ["starve", 1, 200, 800],
      ["hold", 2, 1500, 4000],
    ],
  },
};

function draw({ deeds }: Habit, chance: Dice, isFirst: boolean): Pick<Strike, "deed" | "forMs"> {
  const total = deeds.reduce((sum, [, weight]) => sum + weight, 0);
  let at = isFirst ? 0 : chance.next() * total;
  for (const [deed, weight, least, most] of deeds) {
    at -= weight;
    if (at < 0) return { deed, forMs: Math.round(chance.between(least, most)) };
  }
  return { deed: "kill", forMs: 0 };
}

/** In the order of their times. Each kind strikes once at least, its first deed is a kill, between 10 % and 90 % of the time. */
export function planStrikes({ seed, agents, durationMs, kinds }: PlanRequest): Strike[] {
  const strikes: Strike[] = [];
  for (const victim of kinds) {
    const habit = habits[victim];
    const chance = dice(seed, victim);
    const count = Math.max(1, Math.round(habit.count(durationMs / 1000, agents)));
    const slotMs = (durationMs * 0.8) / count;
    for (let n = 0; n < count; n++) {
      const atMs = Math.round(durationMs * 0.1 + (n + chance.next()) * slotMs);
      strikes.push({ atMs, victim, ...draw(habit, chance, n === 0), pick: chance.next() });
    }
  }
  return strikes.sort((one, other) => one.atMs - other.atMs);
}
