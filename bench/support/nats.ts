/** As much of the NATS client protocol as the comparison needs. https://docs.nats.io/reference/reference-protocols/nats-protocol */
import { BlockingSocket } from "./socket.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface NatsMessage {
  readonly subject: string;
  readonly replyTo: string;
  /** A view that the next read may overwrite. */
  readonly body: Uint8Array;
}

/** A publication on the wire. */
export function natsPublication(subject: string, body: string, replyTo = ""): Uint8Array {
  const head = replyTo === "" ? subject : `${subject} ${replyTo}`;
  return encoder.encode(`PUB ${head} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
}

export class NatsConnection {
  readonly #socket: BlockingSocket;
  #subscriptions = 0;

  constructor(port: number) {
    this.#socket = new BlockingSocket(port);
    this.#socket.line(); // INFO
    this.#text('CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"lang":"bench","version":"1"}\r\n');
    this.flush();
  }

  #text(text: string): void {
    this.#socket.send(encoder.encode(text));
  }

  subscribe(subject: string): void {
    this.#text(`SUB ${subject} ${++this.#subscriptions}\r\n`);
    this.flush();
  }

  send(publication: Uint8Array): void {
    this.#socket.send(publication);
  }

  /** Waits until the server has taken everything that was sent. Not while messages may be under way. */
  flush(): void {
    this.#text("PING\r\n");
    for (;;) {
      const line = decoder.decode(this.#socket.line());
      if (line === "PONG") return;
      if (line.startsWith("-ERR")) throw new Error(`nats: ${line}`);
      if (line === "PING") this.#text("PONG\r\n");
    }
  }

  /** The next message of any subscription. Blocks. */
  next(): NatsMessage {
    for (;;) {
      const line = decoder.decode(this.#socket.line());
      if (line.startsWith("MSG ")) {
        const fields = line.split(" ");
        const body = this.#socket.take(Number(fields.at(-1)) + 2);
        return {
          subject: fields[1] as string,
          replyTo: fields.length === 5 ? (fields[3] as string) : "",
          body: body.subarray(0, -2),
        };
      }
      if (line === "PING") this.#text("PONG\r\n");
      else if (line.startsWith("-ERR")) throw new Error(`nats: ${line}`);
    }
  }

  close(): void {
    this.#socket.close();
  }
}
