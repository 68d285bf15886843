/** Redis streams: XADD is acknowledged by the id it returns, XREAD BLOCK waits for more. */
import type { Messaging } from "./messaging.ts";
import { RedisConnection, redisCommand } from "./redis.ts";

type StreamReply = [string, [string, [string, string]][]][] | null;

/** `self` adds to the stream `other`, and reads the stream `self`. Commands are encoded once and kept: no cost of ours. */
export function redisMessaging(peer: string | number, self: string, other: string): Messaging {
  const redis = new RedisConnection(peer);
  const encoded = new Map<string, Uint8Array>();
  let last = "0-0";

  const command = (body: string): Uint8Array => {
    let bytes = encoded.get(body);
    if (bytes === undefined) {
      bytes = redisCommand("XADD", other, "*", "m", body);
      encoded.set(body, bytes);
    }
    return bytes;
  };
  const publish = (body: string): void => {
    redis.send(command(body));
    redis.skipId();
  };
  const consume = (count: number, take: (body: string) => void): void => {
    for (let left = count; left > 0; ) {
      const reply = redis.ask(
        "XREAD",
        "COUNT",
        Math.min(left, 250),
        "BLOCK",
        1000,
        "STREAMS",
        self,
        last,
      ) as StreamReply;
      for (const [id, fields] of reply?.[0]?.[1] ?? []) {
        take(fields[1]);
        last = id;
        left--;
      }
    }
  };
  return {
    publish,
    publishBatch(bodies) {
      redis.send(Buffer.concat(bodies.map(command)));
      for (let i = 0; i < bodies.length; i++) redis.skipId();
    },
    consume,
    ask(body, take) {
      publish(body);
      consume(1, take);
    },
    answer(count) {
      for (let i = 0; i < count; i++) consume(1, publish);
    },
    close: () => redis.close(),
  };
}

export function emptyRedis(peer: string | number): void {
  const redis = new RedisConnection(peer);
  redis.ask("FLUSHALL");
  redis.close();
}
