import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { StateFiles } from "../../src/agent/states.ts";
import { until } from "../support/swarm.ts";

let bus = "";
beforeEach(() => {
  bus = mkdtempSync(`${tmpdir()}/cfn-states-`);
});
afterEach(() => rmSync(bus, { recursive: true, force: true }));

const path = (id: string): string => `${bus}/agents/${id}/state`;
const stateOf = (id: string): string => readFileSync(path(id), "utf8");

test("a state that did not last is never written, the one after it is", async () => {
  const states = new StateFiles(bus);
  states.change("w1", "WORKING");
  states.change("w1", "COMPLETE");
  expect(existsSync(path("w1"))).toBe(false);
  await until("a state", () => existsSync(path("w1")));
  expect(stateOf("w1")).toBe("COMPLETE\n");
  expect(readdirSync(`${bus}/agents`)).toEqual(["w1"]);
});

test("at once every state is written, one in the place of the other", () => {
  const states = new StateFiles(bus, true);
  for (const state of ["SPAWNED", "WORKING", "COMPLETE"] as const) {
    states.change("ana", state);
    expect(stateOf("ana")).toBe(`${state}\n`);
  }
  expect(readdirSync(`${bus}/agents`)).toEqual(["ana"]);
});

test("of an agent that is gone nothing is written any more", async () => {
  const states = new StateFiles(bus);
  states.change("w1", "WORKING");
  states.close("w1");
  states.change("w2", "WORKING");
  await until("the other's state", () => existsSync(path("w2")));
  expect(existsSync(path("w1"))).toBe(false);
});
