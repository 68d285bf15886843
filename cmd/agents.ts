import type { AgentEntry } from "../src/bus/contract.ts";
import { readText } from "../src/os/file.ts";
import type { Args, Command } from "./command.ts";
import { exitStatus } from "./exit.ts";
import { busOption, joinBus } from "./join.ts";
import { print, printJson } from "./output.ts";

const args = {
  bus: busOption,
  json: { type: "boolean", description: "one JSON array" },
} as const satisfies Args;

export const agentsCommand: Command<typeof args> = {
  meta: { name: "agents", description: "List the agents on the bus" },
  args,
  example: "cfn run --agents 2 -- cfn agents",
  run({ args, env }) {
    const bus = joinBus(args.bus, env);
    const entries = bus.agents().map((agent) => ({ ...agent, state: stateOf(bus.info.dir, agent.id) }));
    if (args.json) printJson(entries.map(toJson));
    else print(table(entries));
    return exitStatus.success;
  },
};

type Entry = AgentEntry & { readonly state: string };

/** One word, kept by the agent's host; "" where nobody keeps it. */
function stateOf(busDir: string, id: string): string {
  return readText(`${busDir}/agents/${id}/state`, 64)?.trim() ?? "";
}

const toJson = ({ id, role, team, state, depth, hostPid, incarnation }: Entry) => ({
  id,
  role,
  team: team || null,
  state: state || null,
  depth,
  host_pid: hostPid || null,
  incarnation,
});

function table(entries: readonly Entry[]): string {
  const head = ["ID", "ROLE", "TEAM", "STATE", "DATA", "CONTROL", "PID", "INCARNATION"];
  const rows = entries.map(({ id, role, team, state, depth, hostPid, incarnation }) =>
    [id, role, team || "-", state || "-", depth.data, depth.control, hostPid || "-", incarnation].map(String),
  );
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] as string).length)),
  );
  return [head, ...rows]
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] as number))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
