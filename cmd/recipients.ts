/** Whom a message goes to: ids and groups become ids, each once, in the order given. */
import type { AgentEntry, Bus } from "../src/bus/contract.ts";
import { CfnError } from "../src/errors.ts";
import { isAgentId } from "../src/message/message.ts";
import { unknownAgent } from "./join.ts";
import { UnknownName } from "./unknown.ts";
import { agentId, type ValueType } from "./values.ts";

const TEAM = "@team:";

/** `-` is let through: `send` takes it, at the end, for stdin. */
export const recipient: ValueType<string> = {
  expects: `${agentId.expects}; or @all, @coordinators or @team:ID`,
  read: (text) => {
    const isGroup = text === "@all" || text === "@coordinators";
    const id = text.startsWith(TEAM) ? text.slice(TEAM.length) : text;
    return isGroup || text === "-" || isAgentId(id) ? text : undefined;
  },
};

/**
 * The members of a group but for the sender, in order of their ids: hosted workers and coordinators (@all), hosted
 * coordinators (@coordinators), hosted workers that a coordinator leads (@team:ID). Pure.
 */
export function membersOf(group: string, from: string, agents: readonly AgentEntry[]): string[] {
  const isMember = (agent: AgentEntry): boolean => {
    if (group === "@coordinators") return agent.role === "coordinator";
    if (group === "@all") return agent.role === "coordinator" || agent.role === "worker";
    return agent.role === "worker" && agent.team === group.slice(TEAM.length);
  };
  return agents.filter((agent) => agent.hostPid > 0 && agent.id !== from && isMember(agent)).map(({ id }) => id);
}

/** Throws not_found for an id that nobody has registered and for an empty group, before anything is sent. */
export function recipientsOf(bus: Bus, words: readonly string[], from: string): string[] {
  const to: string[] = [];
  const add = (id: string): void => {
    if (!to.includes(id)) to.push(id);
  };
  let agents: readonly AgentEntry[] | undefined;
  for (const word of words) {
    if (!word.startsWith("@")) {
      if (!bus.has(word)) throw unknownAgent(bus, word);
      add(word);
      continue;
    }
    agents ??= bus.agents();
    const members = membersOf(word, from, agents);
    if (members.length === 0) throw emptyGroup(word, agents);
    for (const id of members) add(id);
  }
  return to;
}

function emptyGroup(group: string, agents: readonly AgentEntry[]): CfnError {
  const teams = agents.filter(({ role }) => role === "coordinator").map(({ id }) => id);
  const team = group.startsWith(TEAM) ? group.slice(TEAM.length) : undefined;
  if (team !== undefined && !teams.includes(team)) return new UnknownName("not_found", "team", team, teams);
  return new CfnError("not_found", `no agent is in ${group}`, "cfn agents lists those there are");
}
