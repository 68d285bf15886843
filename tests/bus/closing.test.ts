/** The end of a bus's data messages: nothing is accepted behind the last look. */
import { expect, test } from "bun:test";
import { openBus } from "../../src/bus/bus.ts";
import { createBus } from "../../src/bus/creation.ts";
import { destroyBus } from "../../src/bus/removal.ts";
import { repositoryRoot } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";

const READERS = 16;
const SENDERS = 4;

test("with senders at work, what was accepted is what is found, to the message", () =>
  withBusBase(async (base) => {
    for (let round = 0; round < 5; round++) {
      const dir = `${base}/bus`;
      createBus(dir, { shards: 4 });
      const bus = openBus(dir);
      for (let n = 0; n < READERS; n++) bus.register({ id: `r${n}`, role: "worker" });
      const senders = Array.from({ length: SENDERS }, (_, n) =>
        Bun.spawn(["bun", `${repositoryRoot}/tests/fixtures/bus/untilclosed.ts`, dir, `s${n}`, `${READERS}`], {
          stdout: "pipe",
          stderr: "inherit",
        }),
      );
      const total = (): number =>
        Array.from({ length: READERS }, (_, n) => bus.depth(`r${n}`, "data")).reduce((a, b) => a + b);
      while (total() < 100 * (round + 1)) await Bun.sleep(1);
      const { accepted, unread } = bus.closeInboxes();
      let found = 0;
      for (const id of unread) {
        const lease = bus.lease(id, "data");
        for (let mail = lease?.read(100) ?? []; mail.length > 0; mail = lease?.read(100) ?? []) {
          found += mail.length;
          lease?.ack(mail.length);
        }
        lease?.release();
      }
      // Senders that have the bus open go on to it when its directory is gone.
      destroyBus(dir);
      const sent = await Promise.all(senders.map(async ({ stdout }) => Number(await new Response(stdout).text())));
      expect({ round, found, accepted }).toEqual({ round, found, accepted: sent.reduce((a, b) => a + b) });
      expect(found).toBe(accepted);
      bus.close();
    }
  }));

test("messages are counted beyond their recipient's life, and a later agent in its place begins with none", () =>
  withBusBase((base) => {
    createBus(`${base}/bus`, { shards: 1 });
    const bus = openBus(`${base}/bus`);
    for (const id of ["a", "b", "c"]) {
      bus.register({ id, role: "guest" });
      for (let n = 0; n < 3; n++) bus.send({ from: "x", to: id, type: "t", payload: n });
      const lease = bus.lease(id, "data");
      expect(lease?.read(10).map(({ message }) => message.payload)).toEqual([0, 1, 2]);
      lease?.ack(id === "c" ? 1 : 3);
      lease?.release();
      bus.unregister(id);
    }
    expect(bus.closeInboxes()).toEqual({ accepted: 9, unread: ["c"] });
    bus.close();
    destroyBus(`${base}/bus`);
  }));

test("who closed the inboxes may still send, control messages come through, and nobody else's data does", () =>
  withBusBase((base) => {
    createBus(`${base}/bus`);
    const [one, other] = [openBus(`${base}/bus`), openBus(`${base}/bus`)];
    one.register({ id: "a", role: "worker" });
    one.closeInboxes();
    const draft = { from: "x", to: "a", type: "t", payload: null };
    expect(other.send(draft)).toEqual({ status: "closed" });
    expect(other.sendBatch([draft, { ...draft, chain: "control" }]).map(({ status }) => status)).toEqual([
      "closed",
      "accepted",
    ]);
    expect(one.send(draft).status).toBe("accepted");
    expect(other.isServed("a")).toBe(true);
    expect(one.isServed("a")).toBe(false);
    for (const bus of [one, other]) bus.close();
    destroyBus(`${base}/bus`);
  }));
