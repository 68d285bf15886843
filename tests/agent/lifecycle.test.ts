import { expect, test } from "bun:test";
import { lifecycleEvents, lifecycleStates, nextState } from "../../src/agent/lifecycle.ts";
import { AssertionFailure } from "../../src/assert.ts";

/** The whole table: what each event makes of each state; null where it is a bug. */
const expected = {
  SPAWNED: { assigned: "SPAWNED", started: "WORKING", not_started: "COMPLETE", ended: null, stopped: "STOPPED" },
  WORKING: { assigned: null, started: null, not_started: null, ended: "COMPLETE", stopped: null },
  COMPLETE: { assigned: "SPAWNED", started: null, not_started: null, ended: null, stopped: "STOPPED" },
  STOPPED: { assigned: null, started: null, not_started: null, ended: null, stopped: "STOPPED" },
} as const;

for (const state of lifecycleStates) {
  for (const event of lifecycleEvents) {
    const next = expected[state][event];
    if (next === null) {
      test(`an agent that is ${state} cannot meet "${event}"`, () => {
        expect(() => nextState(state, event)).toThrow(AssertionFailure);
      });
    } else {
      test(`"${event}" makes of ${state} ${next}`, () => {
        expect(nextState(state, event)).toBe(next);
      });
    }
  }
}
