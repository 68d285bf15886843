import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import { createBus } from "../../src/bus/creation.ts";
import { limits } from "../../src/limits.ts";
import type { Draft } from "../../src/message/message.ts";
import { withBusBase } from "../support/bus.ts";
import { withOpenBus } from "../support/open-bus.ts";

const draft = (to: string, payload: number): Draft => ({ from: "a", to, type: "t", payload });

test("each bus has the bounds that it was made with, for everybody who opens it", async () => {
  await withOpenBus(
    (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      const other = openBus(dir);
      expect(other.info).toMatchObject({ inboxMessages: 3, inboxBytes: 4 << 20 });
      const outcomes = other.sendBatch(Array.from({ length: 5 }, (_, n) => draft("w", n)));
      expect(outcomes.map(({ status }) => status)).toEqual(["accepted", "accepted", "accepted", "full", "full"]);
      expect(outcomes[3]).toMatchObject({ what: "inbox", limit: "3 messages" });
      other.close();
    },
    { inboxMessages: 3, inboxBytes: 4 << 20 },
  );
});

test("a bus that does not say what an inbox takes has the usual bounds", async () => {
  await withOpenBus((_, dir) => {
    const { crc: _crc, inbox_messages: _m, inbox_bytes: _b, ...meta } = JSON.parse(readFileSync(`${dir}/meta`, "utf8"));
    const text = JSON.stringify(meta);
    writeFileSync(`${dir}/meta`, `${text.slice(0, -1)},"crc":${Bun.hash.crc32(text)}}\n`);
    const other = openBus(dir);
    expect(other.info).toMatchObject({ inboxMessages: limits.inboxMessages, inboxBytes: limits.inboxBytes });
    other.close();
  });
});

test("a bound that no bus may have is refused with its range, and nothing is made", async () => {
  await withBusBase((base) => {
    for (const bounds of [
      { inboxMessages: 0 },
      { inboxMessages: limits.inboxMessagesMost + 1 },
      { inboxMessages: 1.5 },
      { inboxBytes: limits.payloadBytes },
      { inboxBytes: limits.inboxBytesMost + 1 },
      { busBytes: limits.busBytesMost + 1 },
      { shards: limits.shardsMax + 1 },
    ]) {
      expect(() => createBus(`${base}/one`, bounds)).toThrow(/ expected a whole number from \d+ to \d+/);
    }
  });
});
