/** The other process of a two-process measurement: `bun bench/run.ts peer ENGINE ADDRESS ROLE COUNT`. */
import { root } from "./cfn.ts";
import { Checksum, type Messaging } from "./messaging.ts";
import { cfnMessaging } from "./messagingCfn.ts";
import { natsMessaging, prepareJetStream } from "./messagingNats.ts";
import { emptyRedis, redisMessaging } from "./messagingRedis.ts";

export type Engine = "cfn" | "redis" | "nats";

/** `address` says where the engine is: a bus directory; a socket path or a port; a port. */
export function connect(engine: Engine, address: string, self: string, other: string): Messaging {
  if (engine === "cfn") return cfnMessaging(address, self, other);
  if (engine === "redis") return redisMessaging(pathOrPort(address), self, other);
  return natsMessaging(Number(address), self, other);
}

/** Forgets what the servers keep; the bus has nothing left once it is read. */
export function empty(engine: Engine, address: string): void {
  if (engine === "redis") emptyRedis(pathOrPort(address));
  if (engine === "nats") prepareJetStream(Number(address));
}

const pathOrPort = (address: string): string | number => (address.startsWith("/") ? address : Number(address));

/** Runs as the peer: says "ready", does its part, prints the checksum of what it saw. */
export function runPeer([engine, address, role, count]: readonly string[]): void {
  const messaging = connect(engine as Engine, address as string, "peer", "bench");
  const seen = new Checksum();
  process.stdout.write("ready\n");
  if (role === "answer") messaging.answer(Number(count));
  else messaging.consume(Number(count), (body) => seen.add(body));
  messaging.close();
  process.stdout.write(`${seen}\n`);
}

/** Starts the peer; resolves once it can receive. `finished` gives its checksum. */
export async function startPeer(engine: Engine, address: string, role: "consume" | "answer", count: number) {
  const argv = [process.execPath, `${root}/bench/run.ts`, "peer", engine, address, role, `${count}`];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the ${engine} peer ended before it was ready`);
    text += decoder.decode(value);
  }
  return {
    finished: async (): Promise<string> => {
      for (let more = await reader.read(); !more.done; more = await reader.read()) text += decoder.decode(more.value);
      if ((await child.exited) !== 0) throw new Error(`the ${engine} peer exited with ${child.exitCode}`);
      return text.split("\n")[1] as string;
    },
    /** After a failure on this side. */
    kill: (): void => child.kill("SIGKILL"),
  };
}
