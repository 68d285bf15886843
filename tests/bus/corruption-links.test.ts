/** Words of records and slots that no checksum covers, each overwritten with the value that would do most harm. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import {
  A,
  C,
  H,
  positionOf,
  R,
  S,
  SEGMENT_HEADER_BYTES,
  SLOTS_BYTE,
  TABLE_WORD,
  TAKEN,
} from "../../src/bus/layout.ts";
import { withOpenBus } from "../support/open-bus.ts";

/** Byte offsets of the records in the bus's one segment. */
function records(path: string): number[] {
  const bytes = readFileSync(path);
  const found: number[] = [];
  for (let at = SEGMENT_HEADER_BYTES; bytes.readUInt32LE(at) !== 0; at += bytes.readUInt32LE(at)) found.push(at);
  return found;
}

/** Sets words of a file, by number. */
function set(path: string, values: Readonly<Record<number, number>>): void {
  const bytes = readFileSync(path);
  for (const [word, value] of Object.entries(values)) bytes.writeUInt32LE(value >>> 0, Number(word) * 4);
  writeFileSync(path, bytes, { flag: "r+" });
}

/** Takes everything, some at a time. */
function takeAll(bus: Bus): unknown[] {
  const lease = bus.lease("w", "data");
  const all: unknown[] = [];
  for (let got = lease?.read(2) ?? []; got.length > 0; got = lease?.read(2) ?? []) {
    all.push(...got.map(({ message }) => message.payload));
    lease?.ack(got.length);
  }
  lease?.release();
  return all;
}

interface Harm {
  readonly name: string;
  /** Words of the segment, given where the six records begin (byte offsets), and of the index. */
  readonly segment?: (at: readonly number[]) => Record<number, number>;
  readonly index?: Record<number, number>;
}

const word = (at: number | undefined, n: number): number => ((at as number) >>> 2) + n;
const slot = SLOTS_BYTE >>> 2;
const data = slot + A.chain;

/** Any value but those that `dirty` has makes the next one repair. */
const repairs = { [H.dirty]: 7 };

const harms: Harm[] = [
  {
    name: "a link that skips two",
    segment: (at) => ({ [word(at[2], R.next)]: positionOf(0, at[5] as number) }),
  },
  { name: "a link to itself", segment: (at) => ({ [word(at[3], R.next)]: positionOf(0, at[3] as number) }) },
  { name: "a link back", segment: (at) => ({ [word(at[4], R.next)]: positionOf(0, at[0] as number) }) },
  { name: "a link out of the segment", segment: (at) => ({ [word(at[2], R.next)]: 0xffff_ffff }) },
  { name: "a taken record that looks unread", segment: (at) => ({ [word(at[0], R.state)]: 0 }), index: repairs },
  { name: "an unread record that looks taken", segment: (at) => ({ [word(at[3], R.state)]: TAKEN }), index: repairs },
  {
    name: "a record that looks in progress",
    segment: (at) => ({ [word(at[5], R.commit)]: 0x8000_0060 }),
    index: repairs,
  },
  { name: "a chain that looks empty", index: { [data + C.depth]: 0 } },
  { name: "a chain that has no end", index: { [data + C.depth]: 0xffff_ffff } },
  { name: "a head that is further on", index: { [data + C.head]: positionOf(0, 300) } },
  { name: "another generation", index: { [slot + A.generation]: 77 } },
  { name: "a free slot", index: { [slot + A.state]: 0 } },
  { name: "no slots", index: { [H.slotsUsed]: 0 } },
  { name: "four billion slots", index: { [H.slotsUsed]: 0xffff_ffff, [H.slotCapacity]: 0xffff_ffff } },
  { name: "a segment that is done with", index: { [TABLE_WORD + S.live]: 0 } },
  { name: "a segment that is longer than it is", index: { [TABLE_WORD + S.used]: 0xffff_fff0 } },
  { name: "a segment that begins anew", index: { [TABLE_WORD + S.used]: SEGMENT_HEADER_BYTES } },
  { name: "no segments", index: { [TABLE_WORD + S.number]: 0, [H.tail]: 0 } },
  { name: "a full bus", index: { [H.blobBytes]: 0xffff_ffff } },
  { name: "another pairs table", index: { [H.pairsNumber]: 9 } },
  { name: "a file of another kind", index: { [H.magic]: 0 } },
];

for (const { name, segment, index } of harms) {
  test(`${name}: what is unread comes once and in order, to a process that had the bus open and to a new one`, () =>
    withOpenBus(
      (bus, dir) => {
        const shard = `${dir}/shards/00`;
        bus.register({ id: "w", role: "worker" });
        const send = (payload: number): string => bus.send({ from: "a", to: "w", type: "t", payload }).status;
        for (const n of [1, 2, 3, 4, 5, 6]) send(n);
        const lease = bus.lease("w", "data");
        lease?.read(1);
        lease?.ack(1);
        lease?.release();
        if (segment !== undefined) set(`${shard}/segment-1`, segment(records(`${shard}/segment-1`)));
        if (index !== undefined) set(`${shard}/index`, index);

        const fresh = openBus(dir);
        expect(fresh.peek("w", "data", 9).map(({ payload }) => payload)).toEqual([2, 3, 4, 5, 6]);
        fresh.close();
        expect(send(7)).toBe("accepted");
        expect(takeAll(bus)).toEqual([2, 3, 4, 5, 6, 7]);
        expect(bus.agents()).toMatchObject([{ id: "w", hostPid: process.pid, depth: { data: 0 } }]);
        // The pairs table keeps its numbers, too.
        expect(bus.send({ from: "a", to: "w", type: "t", payload: 0, sequence: 7 }).status).toBe("duplicate");
        expect(bus.sweep().damaged).toBeGreaterThan(0);
      },
      { shards: 1 },
    ));
}
