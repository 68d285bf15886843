/** As much of Redis' protocol (RESP2) as the comparison needs. https://redis.io/docs/latest/develop/reference/protocol-spec/ */
import { BlockingSocket } from "./socket.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Reply = string | number | null | Reply[];

/** A command on the wire. */
export function redisCommand(...words: (string | number)[]): Uint8Array {
  const parts = words.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`);
  return encoder.encode(`*${words.length}\r\n${parts.join("")}`);
}

export class RedisConnection {
  readonly #socket: BlockingSocket;

  constructor(peer: string | number) {
    this.#socket = new BlockingSocket(peer);
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** The reply to the oldest command without one. Throws on an error reply. */
  reply(): Reply {
    const line = decoder.decode(this.#socket.line());
    const rest = line.slice(1);
    switch (line[0]) {
      case "+":
        return rest;
      case ":":
        return Number(rest);
      case "$": {
        if (rest === "-1") return null;
        const text = decoder.decode(this.#socket.take(Number(rest)));
        this.#socket.take(2);
        return text;
      }
      case "*":
        return rest === "-1" ? null : Array.from({ length: Number(rest) }, () => this.reply());
      default:
        throw new Error(`redis: ${line}`);
    }
  }

  /** Reads the reply of one XADD without decoding it: an id is all it can be. */
  skipId(): void {
    const line = this.#socket.line();
    if (line[0] !== 0x24) throw new Error(`redis: ${decoder.decode(line)}`);
    this.#socket.line();
  }

  ask(...words: (string | number)[]): Reply {
    this.send(redisCommand(...words));
    return this.reply();
  }

  close(): void {
    this.#socket.close();
  }
}
