import { describe, expect, test } from "bun:test";
import { membersOf, recipient } from "../../cmd/recipients.ts";
import type { AgentEntry, Role } from "../../src/bus/contract.ts";

const agent = (id: string, role: Role, team = "", hostPid = 1): AgentEntry => ({
  id,
  role,
  team,
  hostPid,
  depth: { data: 0, control: 0 },
  incarnation: 1,
});

const agents = [
  agent("ask-1", "guest"),
  agent("c1", "coordinator", "master"),
  agent("c2", "coordinator", "master"),
  agent("gone", "worker", "c1", 0),
  agent("master", "master"),
  agent("w1", "worker", "c1"),
  agent("w2", "worker", "c1"),
  agent("w3", "worker", "c2"),
];

describe("a group", () => {
  test("@all is the hosted workers and coordinators but for the sender", () => {
    expect(membersOf("@all", "w2", agents)).toEqual(["c1", "c2", "w1", "w3"]);
    expect(membersOf("@all", "anonymous", agents)).toEqual(["c1", "c2", "w1", "w2", "w3"]);
  });

  test("@coordinators is the coordinators, @team:ID the workers that one leads", () => {
    expect(membersOf("@coordinators", "c1", agents)).toEqual(["c2"]);
    expect(membersOf("@team:c1", "c1", agents)).toEqual(["w1", "w2"]);
    expect(membersOf("@team:c1", "w1", agents)).toEqual(["w2"]);
    expect(membersOf("@team:w1", "x", agents)).toEqual([]);
  });
});

test("a recipient is an agent id or a group, nothing else", () => {
  for (const text of ["bob", "@all", "@coordinators", "@team:c1", "-"]) expect(recipient.read(text)).toBe(text);
  for (const text of [
    "",
    "../x",
    "a b",
    "@",
    "@al",
    "@team",
    "@team:",
    "@team:../x",
    "@team:@all",
    "Bob",
    "x".repeat(64),
  ])
    expect([text, recipient.read(text)]).toEqual([text, undefined]);
});
