/** Redis and NATS for the length of a benchmark: nothing is persisted, only this machine is served, ended by pid. */
import { join } from "node:path";
import { program } from "./machine.ts";
import { NatsConnection } from "./nats.ts";
import { RedisConnection } from "./redis.ts";

async function whileRunning<T>(argv: readonly string[], ready: () => void, work: () => Promise<T>): Promise<T> {
  const server = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  try {
    for (let tries = 0; ; tries++) {
      try {
        ready();
        break;
      } catch (error) {
        if (tries === 250 || server.exitCode !== null) throw new Error(`${argv.join(" ")} does not serve: ${error}`);
        await Bun.sleep(20);
      }
    }
    return await work();
  } finally {
    server.kill("SIGKILL"); // It keeps nothing, so there is nothing to save.
    await server.exited;
  }
}

export interface RedisServer {
  readonly unix: string;
  readonly tcp: number;
}

/** Undefined if redis-server is not installed. */
export async function withRedis<T>(dir: string, work: (server: RedisServer) => Promise<T>): Promise<T | undefined> {
  const binary = program("redis-server");
  if (binary === undefined) return undefined;
  const server = { unix: join(dir, "redis"), tcp: freePort() };
  const options = { port: server.tcp, bind: "127.0.0.1", unixsocket: server.unix, dir, save: "", appendonly: "no" };
  const argv = [binary, ...Object.entries(options).flatMap(([key, value]) => [`--${key}`, `${value}`])];
  return await whileRunning(
    argv,
    () => new RedisConnection(server.unix).close(),
    () => work(server),
  );
}

/** Undefined if nats-server is not installed. `work` gets its port; JetStream keeps its streams in memory. */
export async function withNats<T>(dir: string, work: (port: number) => Promise<T>): Promise<T | undefined> {
  const binary = program("nats-server");
  if (binary === undefined) return undefined;
  const port = freePort();
  const argv = [binary, "-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", dir];
  return await whileRunning(
    argv,
    () => new NatsConnection(port).close(),
    () => work(port),
  );
}

/** A port that nobody listens on at this moment. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
