import { expect, test } from "bun:test";
import { withOpenBus } from "../support/open-bus.ts";

async function stopper(dir: string, mode: "once" | "always") {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/../fixtures/bus/stopper.ts`, dir, mode], {
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe("held\n");
  while (!(await Bun.file(`/proc/${child.pid}/stat`).text()).includes(") T ")) await Bun.sleep(1);
  return { child, reader };
}

test("a holder of the lock that was stopped is continued, and the sender gets through", () =>
  withOpenBus(
    async (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      const { child, reader } = await stopper(dir, "once");
      expect(bus.send({ from: "a", to: "w", type: "t", payload: 1 }).status).toBe("accepted");
      expect(await child.exited).toBe(0);
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("released\n");
    },
    { shards: 1 },
  ));

test("a holder that stops itself again and again is killed, and what it left is repaired", () =>
  withOpenBus(
    async (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      bus.send({ from: "a", to: "w", type: "t", payload: 1 });
      const { child } = await stopper(dir, "always");
      expect(bus.send({ from: "a", to: "w", type: "t", payload: 2 }).status).toBe("accepted");
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      expect(bus.peek("w", "data", 9).map((one) => one.payload)).toEqual([1, 2]);
    },
    { shards: 1 },
  ));
