/** Every subcommand, loaded only when called; but for `send`, the one that is called most and must start fastest. */
import type { Command } from "./command.ts";
import { sendCommand } from "./send.ts";

export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./run.ts")).runCommand,
  coordinator: async () => (await import("./coordinator.ts")).coordinatorCommand,
  agent: async () => (await import("./agent.ts")).agentCommand,
  send: async () => sendCommand,
  recv: async () => (await import("./recv.ts")).recvCommand,
  ask: async () => (await import("./ask.ts")).askCommand,
  reply: async () => (await import("./reply.ts")).replyCommand,
  metrics: async () => (await import("./metrics.ts")).metricsCommand,
  stop: async () => (await import("./stop.ts")).stopCommand,
  chaos: async () => (await import("./chaos.ts")).chaosCommand,
  "chaos-guard": async () => (await import("./chaosguard.ts")).chaosGuardCommand,
  "chaos-sender": async () => (await import("./chaossender.ts")).chaosSenderCommand,
  config: async () => (await import("./config.ts")).configCommand,
  status: async () => (await import("./status.ts")).statusCommand,
  health: async () => (await import("./health.ts")).healthCommand,
  serve: async () => (await import("./serve.ts")).serveCommand,
  agents: async () => (await import("./agents.ts")).agentsCommand,
  doctor: async () => (await import("./doctor.ts")).doctorCommand,
};
