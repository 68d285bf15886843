/**
 * What was sent to whom, what senders were told, and what came out: held against each other at the end. It knows nothing of
 * the bus. Each (sender, recipient) is a stream of its own, numbered from 1.
 */

/** The payload of every message here: `fill` repeats `key`, so that a torn one shows. */
export interface Note {
  readonly key: string;
  readonly fill: string;
}

/** A message as `cfn recv` prints it. */
export interface Received {
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  readonly attempt?: number;
  readonly payload: Note;
}

interface Stream {
  /** Keys in the order in which they were to be sent. */
  readonly sent: string[];
  /** How many of these the sender was told to be accepted. */
  accepted: number;
  readonly received: Received[];
}

export class Ledger {
  readonly #streams = new Map<string, Stream>();
  #made = 0;

  /** The next note of a sender to a recipient, of about `bytes` bytes. */
  note(from: string, to: string, bytes = 40): Note {
    const key = `k${String(++this.#made).padStart(4, "0")}.`;
    this.#stream(from, to).sent.push(key);
    return { key, fill: key.repeat(Math.ceil(bytes / key.length)) };
  }

  /** The sender was told that its next message to this recipient is on the bus. */
  accepted(from: string, to: string): void {
    this.#stream(from, to).accepted++;
  }

  received(message: Received): void {
    this.#stream(message.from, message.to).received.push(message);
  }

  /** How many came out that went in to this recipient. */
  receivedBy(to: string): number {
    return [...this.#streams].reduce(
      (sum, [name, { received }]) => sum + (name.endsWith(` ${to}`) ? received.length : 0),
      0,
    );
  }

  /** What is wrong; nothing if all is well. `redelivered`: how many messages may have come twice, the second marked so. */
  problems(redelivered: number): string[] {
    const problems: string[] = [];
    let twice = 0;
    for (const [name, { sent, accepted, received }] of this.#streams) {
      const once = received.filter((one, at) => at === 0 || one.sequence !== received[at - 1]?.sequence);
      twice += received.length - once.length;
      if (received.some((one, at) => at > 0 && one.sequence === received[at - 1]?.sequence && (one.attempt ?? 1) < 2))
        problems.push(`${name}: a message came twice and the second is not marked as another attempt`);
      if (once.length < accepted) problems.push(`${name}: ${accepted} accepted, ${once.length} received`);
      once.forEach(({ sequence, payload }, at) => {
        if (sequence !== at + 1) problems.push(`${name}: number ${sequence} came as the ${at + 1}th`);
        if (payload.key !== sent[at]) problems.push(`${name}: ${payload.key} came where ${sent[at]} was sent`);
        if (payload.fill !== payload.key.repeat(payload.fill.length / payload.key.length))
          problems.push(`${name}: ${payload.key} is torn`);
      });
    }
    if (twice > redelivered) problems.push(`${twice} messages came twice, ${redelivered} may`);
    return problems;
  }

  #stream(from: string, to: string): Stream {
    const name = `${from} ${to}`;
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = { sent: [], accepted: 0, received: [] };
      this.#streams.set(name, stream);
    }
    return stream;
  }
}
