import { expect, test } from "bun:test";
import { openBus } from "../../src/bus/bus.ts";
import type { Lease } from "../../src/bus/contract.ts";
import { limits } from "../../src/limits.ts";
import type { Draft } from "../../src/message/message.ts";
import { withOpenBus } from "../support/open-bus.ts";

const draft = (to: string, payload: number): Draft => ({ from: "a", to, type: "t", payload });

test("a bus counts what it accepted and refused, and knows its deepest inbox, also in slots that were added later", async () => {
  await withOpenBus(
    (bus, dir) => {
      const onlooker = openBus(dir);
      expect(onlooker.stats()).toMatchObject({ accepted: 0, depth: 0, deepest: undefined });
      const many = Array.from({ length: limits.slotsPerGrowth + 5 }, (_, n) => ({
        id: `a${n}`,
        role: "worker" as const,
      }));
      bus.registerAll(many);
      const last = (many[many.length - 1] as { id: string }).id;
      for (let n = 0; n < 4; n++) bus.send(draft(last, n));
      bus.send(draft("a0", 0));
      bus.send({ ...draft("a0", 1), chain: "control" });
      bus.send(draft("nobody", 0));
      expect(onlooker.stats()).toMatchObject({
        accepted: 5,
        refusedInboxFull: 1,
        refusedBusFull: 0,
        refusedRate: 0,
        depth: 5,
        deepest: { id: last, depth: 3, limit: 3 },
      });
      const lease = bus.lease(last, "data") as Lease;
      lease.ack(lease.read(3).length);
      expect(onlooker.stats()).toMatchObject({ accepted: 5, depth: 2, deepest: { id: "a0", depth: 1, limit: 3 } });
      onlooker.close();
    },
    { shards: 1, inboxMessages: 3 },
  );
});
