import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { contradictions } from "../../src/config/contradictions.ts";
import type { FileValue } from "../../src/config/kinds.ts";
import { type SettingKey, type Settings, settingsSchema } from "../../src/config/schema.ts";
import { limits } from "../../src/limits.ts";

type Values = Partial<Record<SettingKey, FileValue>>;

/** The keys of each contradiction, and why. */
function found(values: Values): string[] {
  const document: Record<string, Record<string, FileValue>> = {};
  for (const [key, value] of Object.entries(values)) {
    const [section = "", name = ""] = key.split(".");
    document[section] = { ...document[section], [name]: value };
  }
  const settings: Settings = v.parse(settingsSchema, document);
  return contradictions(settings, (key) => key in values).map(({ keys, why }) => `${keys.join(" ")}: ${why}`);
}

describe("the shape of a swarm", () => {
  test("is flat or has coordinators, not both", () => {
    const flat = { "run.topology": "flat" } as const;
    const why = "a flat swarm has one coordinator";
    expect(found({ ...flat, "run.coordinators": 2 })).toEqual([`run.topology run.coordinators: ${why}`]);
    expect(found({ ...flat, "run.workers_per_coordinator": 2 })).toHaveLength(1);
    expect(found({ ...flat, "run.agents": 500 })).toEqual([]);
  });

  test("holds as many agents as there are to be", () => {
    const teams = { "run.coordinators": 2, "run.workers_per_coordinator": 4 };
    expect(found({ ...teams, "run.agents": 8 })).toEqual([]);
    expect(found({ ...teams, "run.agents": 9 })).toEqual([
      "run.agents run.coordinators run.workers_per_coordinator: 9 agents do not fit 2 coordinators with 4 workers each",
    ]);
  });

  test("has no more agents or coordinators than may be", () => {
    const most = limits.agentsMax / 50;
    expect(found({ "run.coordinators": 50, "run.workers_per_coordinator": most })).toEqual([]);
    const [tooMany] = found({ "run.coordinators": 50, "run.workers_per_coordinator": most + 1 });
    expect(tooMany).toContain(`at most ${limits.agentsMax}`);
    expect(found({ "run.workers_per_coordinator": limits.agentsMax })).toHaveLength(1);
    expect(found({ "run.agents": limits.coordinatorsMax, "run.workers_per_coordinator": 1 })).toEqual([]);
    const [wide] = found({ "run.agents": limits.coordinatorsMax + 1, "run.workers_per_coordinator": 1 });
    expect(wide).toContain("makes 65 coordinators: at most 64");
  });
});

test("an inbox is no larger than its bus, where somebody has chosen both", () => {
  expect(found({ "bus.bytes": "8MiB" })).toEqual([]);
  expect(found({ "bus.bytes": "8MiB", "bus.inbox_bytes": "8MiB" })).toEqual([]);
  expect(found({ "bus.bytes": "8MiB", "bus.inbox_bytes": "9MiB" })).toHaveLength(1);
});

test("nobody is called stopped or stalled before somebody has looked", () => {
  expect(found({ "health.interval": "10s" })).toEqual([]);
  expect(found({ "health.interval": "11s" })).toEqual([
    "health.stopped_after health.interval: nobody looks that often",
  ]);
  expect(found({ "health.stopped_after": "6m" })).toHaveLength(1);
});

test("an address that others reach needs a token and the permission", () => {
  const token = "0123456789abcdef";
  for (const key of ["run.listen", "serve.listen"] as const) {
    for (const own of ["localhost:80", "127.0.0.1:80", "127.1.2.3:80", "[::1]:80", "80"]) {
      expect(found({ [key]: own })).toEqual([]);
    }
    for (const wide of ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"]) {
      expect(found({ [key]: wide })).toHaveLength(1);
      expect(found({ [key]: wide, "serve.allow_remote": true })).toHaveLength(1);
      expect(found({ [key]: wide, "serve.token": token })).toHaveLength(1);
      expect(found({ [key]: wide, "serve.token": token, "serve.allow_remote": true })).toEqual([]);
    }
  }
});
