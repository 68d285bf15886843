/** Listing agents without the lock: never anything that was not so, nobody waited for, and damage found all the same. */
import { expect, test } from "bun:test";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { A, H, SLOT_ID_BYTE, SLOTS_BYTE, TABLE_WORD } from "../../src/bus/layout.ts";
import { limits } from "../../src/limits.ts";
import { tryLockFile, unlockFile } from "../../src/os/lock.ts";
import { withOpenBus } from "../support/open-bus.ts";

const register = (bus: Bus, ...ids: string[]): void => {
  bus.registerAll(ids.map((id) => ({ id, role: "worker" as const, team: id === "lead" ? "" : "lead" })));
};

/** Adds 1 to a word of an index. */
function strike(index: string, word: number): void {
  const bytes = readFileSync(index);
  bytes.writeUInt32LE((bytes.readUInt32LE(word * 4) + 1) >>> 0, word * 4);
  writeFileSync(index, bytes, { flag: "r+" });
}

const one = { shards: 1 };

test("an onlooker lists what the audited listing lists, whoever comes, goes and writes", async () => {
  await withOpenBus((bus, dir) => {
    const onlooker = openBus(dir);
    expect(onlooker.agentsSeen()).toEqual([]);
    register(bus, "lead", ...Array.from({ length: limits.slotsPerGrowth + 5 }, (_, n) => `a${n}`));
    expect(onlooker.agentsSeen()).toEqual(bus.agents());
    bus.send({ from: "b", to: "a3", type: "t", payload: 1 });
    bus.send({ from: "b", to: "a3", type: "t", payload: 1, chain: "control" });
    bus.unregister("a3");
    bus.unregister("a4");
    expect(onlooker.agentsSeen().find(({ id }) => id === "a3")).toMatchObject({
      team: "lead",
      hostPid: 0,
      depth: { data: 1, control: 1 },
    });
    // In the slot of somebody whose id is known.
    register(bus, "somebody-else");
    expect(onlooker.agentsSeen()).toEqual(bus.agents());
    expect(onlooker.agentsSeen().map(({ id }) => id)).not.toContain("a4");
    onlooker.close();
  }, one);
});

test("an onlooker does not wait for who has the lock", async () => {
  await withOpenBus((bus, dir) => {
    register(bus, "lead", "a");
    const onlooker = openBus(dir);
    const held = openSync(`${dir}/shards/00/lock`, "r+");
    expect(tryLockFile(held)).toBe(true);
    expect(onlooker.agentsSeen().map(({ id }) => id)).toEqual(["a", "lead"]);
    expect(onlooker.lockWaits()).toEqual(bus.lockWaits());
    unlockFile(held);
    onlooker.close();
  }, one);
});

const slot = SLOTS_BYTE >>> 2;
test.each([
  ["how an agent stands", slot + A.hostPid],
  ["an inbox", slot + A.chain],
  ["a generation", slot + A.generation],
  ["an id that is known", slot + SLOT_ID_BYTE / 4],
  ["the table of segments", TABLE_WORD + 1],
  ["the header", H.nextNumber],
])("damage to %s is found and mended by looking on", async (_, word) => {
  await withOpenBus(async (bus, dir) => {
    register(bus, "lead", "a");
    bus.send({ from: "b", to: "a", type: "t", payload: 1 });
    const onlooker = openBus(dir);
    expect(onlooker.agentsSeen()).toHaveLength(2);
    const repairs = (): number => readFileSync(`${dir}/shards/00/index`).readUInt32LE(H.repairs * 4);
    expect(repairs()).toBe(0);
    strike(`${dir}/shards/00/index`, word);
    await Bun.sleep(limits.onlookerAuditMs + 1);
    const seen = onlooker.agentsSeen();
    expect(repairs()).toBe(1);
    expect(seen).toEqual(bus.agents());
    onlooker.close();
  }, one);
});

test("a slot that is being changed is never listed half", async () => {
  await withOpenBus(async (bus, dir) => {
    register(bus, "lead");
    const onlooker = openBus(dir);
    const busy = new URL("../fixtures/bus/onlooked.ts", import.meta.url).pathname;
    const changing = Bun.spawn([process.execPath, busy, dir], { stdout: "ignore", stderr: "inherit" });
    let looks = 0;
    let exited = false;
    void changing.exited.then(() => {
      exited = true;
    });
    while (!exited) {
      for (let n = 0; n < 200; n++) {
        for (const { id, team, depth, hostPid } of onlooker.agentsSeen()) {
          if (id === "lead") continue;
          // What the other process registers, it registers like this.
          expect({ id, team, hostPid }).toEqual({
            id: expect.stringMatching(/^(w[0-9]|long-named-w[0-9])$/),
            team: "lead",
            hostPid: hostPid === 0 ? 0 : changing.pid,
          });
          expect(depth.data).toBeLessThanOrEqual(3);
          looks++;
        }
      }
      await Bun.sleep(0);
    }
    expect(await changing.exited).toBe(0);
    expect(looks).toBeGreaterThan(0);
    expect(onlooker.damaged(true)).toBe(0);
    onlooker.close();
  }, one);
}, 60_000);
