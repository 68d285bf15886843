/**
 * NATS. One by one: JetStream, stream in memory, acknowledged by the server. Batched and asked: core NATS, which promises
 * less (at most once) and is faster.
 */
import type { Messaging } from "./messaging.ts";
import { NatsConnection, natsPublication } from "./nats.ts";

/** `self` publishes on the subject `other` (JetStream: `kept.<other>`), and reads the subject `self`. */
export function natsMessaging(port: number, self: string, other: string): Messaging {
  const sending = new NatsConnection(port);
  const reading = new NatsConnection(port);
  const acknowledgements = `ack.${self}`;
  const encoded = new Map<string, Uint8Array>();
  sending.subscribe(acknowledgements);
  reading.subscribe(self);
  reading.subscribe(`kept.${self}`);

  const publication = (subject: string, body: string, replyTo: string): Uint8Array => {
    const key = `${subject} ${body}`;
    let bytes = encoded.get(key);
    if (bytes === undefined) {
      bytes = natsPublication(subject, body, replyTo);
      encoded.set(key, bytes);
    }
    return bytes;
  };
  return {
    publish(body) {
      sending.send(publication(`kept.${other}`, body, acknowledgements));
      const { body: answer } = sending.next();
      // An acknowledgement is {"stream":…,"seq":…}; a refusal is {"error":…}.
      if (answer[2] === 0x65) throw new Error(`JetStream: ${new TextDecoder().decode(answer)}`);
    },
    publishBatch(bodies) {
      sending.send(Buffer.concat(bodies.map((body) => publication(other, body, ""))));
      sending.flush();
    },
    consume(count, take) {
      for (let i = 0; i < count; i++) take(reading.next().body);
    },
    ask(body, take) {
      sending.send(publication(other, body, acknowledgements));
      take(sending.next().body);
    },
    answer(count) {
      for (let i = 0; i < count; i++) {
        const { replyTo, body } = reading.next();
        sending.send(natsPublication(replyTo, new TextDecoder().decode(body)));
      }
    },
    close() {
      sending.close();
      reading.close();
    },
  };
}

/** Makes the stream that keeps `kept.>` in memory, or empties it. */
export function prepareJetStream(port: number): void {
  const nats = new NatsConnection(port);
  nats.subscribe("made");
  const name = "BENCH";
  const config = { name, subjects: ["kept.>"], storage: "memory", retention: "limits", num_replicas: 1 };
  for (const [verb, body] of [
    ["CREATE", JSON.stringify(config)],
    ["PURGE", ""],
  ] as const) {
    nats.send(natsPublication(`$JS.API.STREAM.${verb}.${name}`, body, "made"));
    const answer = new TextDecoder().decode(nats.next().body);
    if (answer.includes('"error"')) throw new Error(`JetStream ${verb}: ${answer}`);
  }
  nats.close();
}
