import { expect, test } from "bun:test";
import { Inbox } from "../../src/coordinator/post.ts";
import type { Json } from "../../src/message/message.ts";
import { withOpenBus } from "../support/open-bus.ts";

test("an inbox that is taken from while it hands over loses nothing, and hands over nothing twice", () =>
  withOpenBus((bus) => {
    bus.register({ id: "master", role: "master" });
    const inbox = new Inbox(bus, "master");
    const send = (payload: Json): void => {
      const sent = bus.send({ from: "c1", to: "master", type: "t", payload, chain: "control" });
      expect(sent.status).toBe("accepted");
    };
    const got: Json[] = [];
    send(1);
    send(2);
    const took = inbox.take(({ payload }) => {
      got.push(payload);
      if (payload !== 1) return;
      // What a stop request sets going while a coordinator's last words are read.
      expect(inbox.take((message) => got.push(message.payload))).toBe(false);
      send(3);
      send(4);
    });
    expect(took).toBe(true);
    while (inbox.take(({ payload }) => got.push(payload)));
    expect(got).toEqual([1, 2, 3, 4]);
  }));
