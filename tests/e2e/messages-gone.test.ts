/** The bus is removed under commands that wait on it, as a run does that ends: what they have mapped outlives it. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import type { Bus } from "../../src/bus/contract.ts";
import { cfnBinary, type RunningCommand, startCfn, startCommand } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { until } from "../support/swarm.ts";

interface Waiting {
  readonly args: readonly string[];
  /** Whether it is there and has looked for what it waits for. */
  readonly isWaiting: (bus: Bus, running: RunningCommand) => boolean;
}

const isOnBus = ({ info: { dir } }: Bus, { pid }: RunningCommand): boolean =>
  readFileSync(`/proc/${pid}/maps`, "utf8").includes(`${dir}/shards`);

const commands: Readonly<Record<string, Waiting>> = {
  "send, where the inbox is full": {
    args: ["send", "bob", "--payload", "1", "--timeout", "1h"],
    isWaiting: isOnBus,
  },
  "ask, for an answer": {
    args: ["ask", "ann", "are you there?", "--timeout", "1h"],
    isWaiting: (bus) => bus.depth("ann", "data") === 1,
  },
  "recv --wait": { args: ["recv", "ann", "--wait=1h"], isWaiting: isOnBus },
};

for (const [name, { args, isWaiting }] of Object.entries(commands)) {
  test(`${name}: says that the bus is gone, and does not wait on`, () =>
    withOpenBus(
      async (bus, dir) => {
        for (const id of ["ann", "bob"]) bus.register({ id, role: "worker" });
        while (bus.send({ from: "x", to: "bob", type: "t", payload: 1 }).status === "accepted");
        const waiting = startCfn(args, { env: { CFN_BUS_DIR: dir } });
        await until("it is on the bus", () => isWaiting(bus, waiting));
        rmSync(dir, { recursive: true });
        const { code, stderr } = await waiting.outcome;
        expect({ code, stderr }).toEqual({ code: 69, stderr: expect.stringContaining(`the bus ${dir} is gone`) });
      },
      { inboxMessages: 4 },
    ));
}

test("send, whose first message to a shard finds no bus any more, says so", () =>
  withOpenBus(
    async (bus, dir) => {
      for (const id of ["ann", "bob"]) bus.register({ id, role: "worker" });
      const script = `(echo '{"to":"ann","payload":1}'; while [ -e ${dir}/meta ]; do sleep 0.01; done; echo '{"to":"bob","payload":2}') | "$0" send --batch - --timeout 1h`;
      const sending = startCommand(["sh", "-c", script, cfnBinary], { env: { CFN_BUS_DIR: dir } });
      await until("the first is accepted", () => bus.depth("ann", "data") === 1);
      rmSync(dir, { recursive: true });
      const { code, stderr } = await sending.outcome;
      const told = "no such file or directory\n  its run has ended, or its bus was removed\n";
      expect({ code, stderr }).toEqual({ code: 69, stderr: expect.stringContaining(told) });
    },
    { shards: 64 },
  ));
