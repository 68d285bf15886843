import { expect, test } from "bun:test";
import { descendantsOf } from "../../src/os/descendants.ts";
import { processRoom } from "../../src/os/pids.ts";
import { raiseDescriptors, resourceLimit } from "../../src/os/rlimits.ts";

test("descendants are found through their parents, zombies left out", async () => {
  const child = Bun.spawn(["sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & echo ready; wait' & wait"], {
    stdout: "pipe",
  });
  try {
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("ready\n");
    const found = descendantsOf(child.pid);
    expect(found).toHaveLength(3);
    expect(descendantsOf(process.pid)).toEqual(expect.arrayContaining([child.pid, ...found]));
  } finally {
    for (const pid of [...descendantsOf(child.pid), child.pid]) process.kill(pid, "SIGKILL");
    await child.exited;
  }
});

test("a process that is not there has no descendants", () => {
  expect(descendantsOf(2 ** 22 + 1)).toEqual([]);
});

test("the limits of processes and descriptors are real figures", () => {
  const room = processRoom();
  expect(room.free).toBeGreaterThan(0);
  expect(room.free).toBeLessThan(room.limit);
  const { soft, hard } = resourceLimit("descriptors");
  expect(soft).toBeGreaterThan(0);
  expect(hard).toBeGreaterThanOrEqual(soft);
  expect(raiseDescriptors(soft)).toEqual({ soft, hard });
});
