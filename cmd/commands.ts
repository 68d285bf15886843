/** Every subcommand, loaded only when called. */
import type { Command } from "./command.ts";

export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./run.ts")).runCommand,
  coordinator: async () => (await import("./coordinator.ts")).coordinatorCommand,
  send: async () => (await import("./send.ts")).sendCommand,
  recv: async () => (await import("./recv.ts")).recvCommand,
  ask: async () => (await import("./ask.ts")).askCommand,
  reply: async () => (await import("./reply.ts")).replyCommand,
  agents: async () => (await import("./agents.ts")).agentsCommand,
};
