import { describe, expect, test } from "bun:test";
import {
  type AlertReadings,
  type AlertSettings,
  type AlertState,
  alertSettingsDefault,
  judgeAlerts,
  noAlerts,
} from "../../src/alerts/rules.ts";
import { type AlertEvent, AlertWatch } from "../../src/alerts/watch.ts";
import { limits } from "../../src/limits.ts";
import { seeded } from "../support/seed.ts";

type Part = Omit<AlertReadings, "elapsedMs">;

/** What changes at each look, as in "2+bus_full bus": at the third look this fired. */
function course(looks: readonly Part[], settings: Partial<AlertSettings> = {}): string[] {
  let state: AlertState = noAlerts;
  return looks.flatMap((part, n) => {
    const judged = judgeAlerts(state, { elapsedMs: n * 1000, ...part }, { ...alertSettingsDefault, ...settings });
    state = judged.state;
    return judged.changes.map(
      (change) => `${n}${change.state === "fired" ? "+" : "-"}${change.alert} ${change.subject}`,
    );
  });
}

const bus = (bytes: number, refusals = 0): Part => ({ bus: { bytes, limitBytes: 100, refusals } });
const open = (count: number): Part => ({ descriptors: { open: count, limit: 100 } });
const inboxes = (depths: Readonly<Record<string, number>>, refusals = 0): Part => {
  const deepest = Object.entries(depths).map(([id, depth]) => ({ id, depth, limit: 1000 }));
  return { inboxes: { deepest: deepest.toSorted((one, other) => other.depth - one.depth), refusals } };
};
const repeated = (part: Part, times: number): Part[] => Array.from({ length: times }, () => part);

describe("what may fill", () => {
  test.each([
    ["stays quiet at the mark itself", [bus(85), bus(85), bus(85)], []],
    ["does not fire for a single look", [bus(90), bus(10), bus(90), bus(10), bus(99)], []],
    ["fires once at the second look beyond the mark", [bus(86), bus(86), bus(99), bus(100)], ["1+bus_full bus"]],
    [
      "does not fire again while it swings about the mark",
      [bus(90), bus(90), bus(80), bus(90), bus(80), bus(90)],
      ["1+bus_full bus"],
    ],
    [
      "clears after three looks well below, and fires again",
      [bus(90), bus(90), bus(10), bus(10), bus(80), bus(10), bus(10), bus(10), bus(90), bus(90)],
      ["1+bus_full bus", "7-bus_full bus", "9+bus_full bus"],
    ],
    ["is not judged where there are no readings", [bus(90), bus(90), {}, {}, {}, {}], ["1+bus_full bus"]],
    ["fires at once where something was refused, however full it is now", [bus(10), bus(10, 5)], ["1+bus_full bus"]],
    [
      "does not fire again for what was refused before",
      [bus(10, 5), bus(10, 5), bus(10, 5), bus(10, 5), bus(10, 6)],
      ["0+bus_full bus", "3-bus_full bus", "4+bus_full bus"],
    ],
    [
      "descriptors",
      [open(81), open(81), open(69), open(69), open(69)],
      ["1+descriptors_high cfn", "4-descriptors_high cfn"],
    ],
  ])("%s", (_, looks, changes) => {
    expect(course(looks)).toEqual(changes);
  });

  test("never fires with a mark of 1, and a bus of no bytes is not full", () => {
    expect(course([bus(100), bus(100), bus(100, 4)], { busMax: 1 })).toEqual([]);
    const none = { bus: { bytes: 0, limitBytes: 0, refusals: 0 } };
    expect(course([none, none, none])).toEqual([]);
  });
});

describe("an inbox", () => {
  test("has an alert of its own", () => {
    const looks = [{ a: 900 }, { a: 900, b: 10 }, { a: 900, b: 850 }, { b: 950, a: 900 }].map((depths) =>
      inboxes(depths),
    );
    expect(course(looks)).toEqual(["1+inbox_full a", "3+inbox_full b"]);
  });

  test("that is not named is at most as deep as the last that is", () => {
    const fired = repeated(inboxes({ a: 900 }), 2);
    expect(course([...fired, ...repeated(inboxes({ b: 800 }), 5)])).toEqual(["1+inbox_full a"]);
    expect(course([...fired, ...repeated(inboxes({ b: 100 }), 5)])).toEqual(["1+inbox_full a", "4-inbox_full a"]);
    expect(course([...fired, ...repeated(inboxes({}), 5)])).toEqual(["1+inbox_full a", "4-inbox_full a"]);
  });

  test("that refused is the deepest one", () => {
    expect(course([inboxes({ a: 300, b: 20 }), inboxes({ a: 300, b: 20 }, 1)])).toEqual(["1+inbox_full a"]);
  });
});

test("an agent is unhealthy as long as it is named", () => {
  const ill = { unhealthy: [{ id: "w1", reason: "stopped for 10 s" }] };
  const well = { unhealthy: [] };
  const changes = ["0+agent_unhealthy w1", "2-agent_unhealthy w1", "3+agent_unhealthy w1"];
  expect(course([ill, ill, well, ill])).toEqual(changes);
  expect(course([ill, ill, well, ill], { unhealthy: false })).toEqual([]);
});

test("a low delivery and a long run are known at once", () => {
  const rate = (deliveryRate: number): Part => ({ deliveryRate });
  expect(course([rate(0.95), rate(0.94), rate(0.96), rate(0.98)])).toEqual([
    "1+delivery_low run",
    "3-delivery_low run",
  ]);
  expect(course([rate(0)], { deliveryMin: 0 })).toEqual([]);
  expect(course(repeated({}, 5), { coordinationMaxMs: 2500 })).toEqual(["3+coordination_long run"]);
  expect(course(repeated({}, 5))).toEqual([]);
});

test("a change says what, whose, how much and the mark", () => {
  const { changes } = judgeAlerts(noAlerts, { elapsedMs: 0, deliveryRate: 0.5 }, alertSettingsDefault);
  expect(changes).toEqual([
    {
      alert: "delivery_low",
      state: "fired",
      subject: "run",
      value: 0.5,
      limit: 0.95,
      unit: "ratio",
      message: "50 % of the messages expected were delivered, the least is 95 %",
    },
  ]);
});

test("whatever the readings do, an alert fires and clears in turn, and takes its looks for each", () => {
  const random = seeded("an alert that flaps");
  for (let round = 0; round < 200; round++) {
    const changes = course(Array.from({ length: 60 }, () => bus(random.below(101))));
    let last = -1;
    for (const [n, change] of changes.entries()) {
      const fires = n % 2 === 0;
      expect(change).toContain(fires ? "+" : "-");
      const look = Number.parseInt(change, 10);
      expect(look - last).toBeGreaterThanOrEqual(fires ? limits.alertFireLooks : limits.alertClearLooks);
      last = look;
    }
  }
});

describe("the watch", () => {
  const watching = () => {
    const events: AlertEvent[] = [];
    const warnings: string[] = [];
    let at = 100;
    const watch = new AlertWatch({
      runId: "r1",
      thresholds: alertSettingsDefault,
      now: () => at++,
      onAlert: (event) => events.push(event),
      onWarning: (text) => warnings.push(text),
    });
    return { watch, events, warnings };
  };

  test("takes readings once a second, the first after a second", () => {
    const { watch } = watching();
    const taken: number[] = [];
    for (let ms = 0; ms <= 3200; ms += 200) {
      watch.tick(ms, () => {
        taken.push(ms);
        return { elapsedMs: ms };
      });
    }
    expect(taken).toEqual([1000, 2000, 3000]);
  });

  test("records when each fired and cleared", () => {
    const { watch, events } = watching();
    const ids = ["w1", "w2"].map((id) => ({ id, reason: "stopped" }));
    for (const unhealthy of [ids, ids.slice(1)]) watch.look({ elapsedMs: 0, unhealthy });
    expect(watch.records).toEqual([
      { alert: "agent_unhealthy", subject: "w1", fired_at: 100, cleared_at: 101 },
      { alert: "agent_unhealthy", subject: "w2", fired_at: 100 },
    ]);
    expect(events[0]).toMatchObject({ schema: "cfn.alert/1", run_id: "r1", at: 100, state: "fired" });
  });

  test("is bounded in subjects and records, and says so once", () => {
    const { watch, events, warnings } = watching();
    const many = Array.from({ length: limits.alertSubjects + 50 }, (_, n) => ({ id: `w${n}`, reason: "stopped" }));
    for (let look = 0; look < 3; look++) watch.look({ elapsedMs: 0, unhealthy: many });
    expect(events).toHaveLength(limits.alertSubjects);
    expect(warnings).toHaveLength(1);
    for (let round = 0; round < 2; round++) {
      watch.look({ elapsedMs: 0, unhealthy: [] });
      watch.look({ elapsedMs: 0, unhealthy: many.slice(0, 10) });
    }
    expect(watch.records).toHaveLength(limits.alertsReported);
    expect(watch.omitted).toBe(20);
  });
});
