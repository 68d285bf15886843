/** The bus of this repository, by its own interface, as the commands use it. */

import { Gulps } from "../../cmd/gulps.ts";
import { openBus } from "../../src/bus/bus.ts";
import type { Bell, Bus, Lease } from "../../src/bus/contract.ts";
import { limits } from "../../src/limits.ts";
import type { Draft } from "../../src/message/message.ts";
import { sleepMs } from "../../src/os/clock.ts";
import type { Messaging } from "./messaging.ts";

const readAtOnce = 250;

/** `self` sends to `other`, and reads what `other` sends. Each process that takes part has names of its own. */
export function cfnMessaging(dir: string, self: string, other: string): Messaging {
  const bus: Bus = openBus(dir);
  const registered = bus.register({ id: self, role: "guest" });
  if (registered.status !== "registered") throw new Error(`cannot register ${self}: ${JSON.stringify(registered)}`);
  let open: { lease: Lease; bell: Bell } | undefined;

  const reading = (): { lease: Lease; bell: Bell } => {
    if (open === undefined) {
      const lease = bus.lease(self, "data");
      if (lease === undefined) throw new Error(`another process reads the inbox of ${self}`);
      const bell = bus.bell();
      bell.arm(self, "data");
      open = { lease, bell };
    }
    return open;
  };
  const draft = (body: string): Draft => ({ from: self, to: other, type: "bench", payload: body });

  const publish = (body: string): void => {
    for (;;) {
      const sent = bus.send(draft(body));
      if (sent.status === "accepted") return;
      if (sent.status !== "full") throw new Error(`send: ${JSON.stringify(sent)}`);
      sleepMs(0.05);
    }
  };
  const publishBatch = (bodies: readonly string[]): void => {
    let left = bodies;
    for (;;) {
      const sent = bus.sendBatch(left.map(draft));
      const refused = sent.findIndex((each) => each.status !== "accepted");
      if (refused < 0) return;
      if (sent[refused]?.status !== "full") throw new Error(`sendBatch: ${JSON.stringify(sent[refused])}`);
      left = left.slice(refused);
      sleepMs(0.05);
    }
  };
  const consume = (count: number, take: (body: string) => void): void => {
    const { lease, bell } = reading();
    let armed = false;
    let taken = 0;
    const gulps = new Gulps();
    for (let left = count; left > 0; ) {
      const wanted = Math.min(left, readAtOnce);
      const got = taken > 0 ? lease.ackAndRead(taken, wanted) : lease.depth() === 0 ? [] : lease.read(wanted);
      for (const { message } of got) take(message.payload as string);
      taken = got.length;
      left -= taken;
      // Arm first, look second, wait third. While there is mail the bell stays down: its sender has better to do.
      if (got.length > 0 && got.length < wanted) gulps.pause();
      else if (got.length === 0 && armed) {
        bell.waitSync(limits.pollMs);
        gulps.rested();
      } else if (got.length === 0) bell.arm(self, "data");
      armed = got.length === 0 && !armed;
    }
    if (taken > 0) lease.ack(taken);
  };
  return {
    publish,
    publishBatch,
    consume,
    ask(body, take) {
      reading(); // Armed before the question goes out.
      publish(body);
      consume(1, take);
    },
    answer(count) {
      for (let i = 0; i < count; i++) consume(1, publish);
    },
    close() {
      open?.lease.release();
      open?.bell.close();
      bus.unregister(self);
      bus.close();
    },
  };
}
