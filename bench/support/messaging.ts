/**
 * What the bus, Redis and NATS are all asked to do, so that one set of timing code measures the three. All calls block:
 * none pays for an event loop.
 */

export interface Messaging {
  /** Sends one message and returns when it is acknowledged. Waits while the other side is full. */
  publish(body: string): void;
  /** Sends all, in the way that is fastest for it, and returns when all are taken. Waits while the other side is full. */
  publishBatch(bodies: readonly string[]): void;
  /** Takes the next `count` messages, in order. */
  consume(count: number, take: (body: string | Uint8Array) => void): void;
  /** Sends one message to whoever answers, and hands the answer to `take`. */
  ask(body: string, take: (body: string | Uint8Array) => void): void;
  /** Answers `count` messages with their own bodies. */
  answer(count: number): void;
  close(): void;
}

const bodyBytes = 300;

/** `count` different bodies of 300 bytes. The same each time, so both sides know the checksum of any run of them. */
export function bodies(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}:`.padEnd(bodyBytes, "abcdefghijklmnopqrstuvwxyz"));
}

/** A checksum that depends on every body and on their order. */
export class Checksum {
  count = 0;
  #sum = 0;

  add(body: string | Uint8Array): void {
    this.count++;
    this.#sum = (Math.imul(this.#sum, 31) + Bun.hash.crc32(body)) >>> 0;
  }

  toString(): string {
    return `${this.count}:${this.#sum.toString(16)}`;
  }
}

/** The checksum of `count` bodies: the pool again and again. */
export function checksumOf(pool: readonly string[], count: number): string {
  const sum = new Checksum();
  for (let i = 0; i < count; i++) sum.add(pool[i % pool.length] as string);
  return sum.toString();
}
