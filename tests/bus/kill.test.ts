/**
 * Senders and receivers of one inbox, SIGKILLed at random moments, again and again. After each round the inbox is read out
 * and held against what the senders had been told: every accepted message is there, in order, whole, and numbered without a
 * gap; a sender's last one may be there though it was not told (it died between the commit and the telling).
 */
import { expect, test } from "bun:test";
import type { Bus } from "../../src/bus/contract.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { type Random, seeded } from "../support/seed.ts";

const SENDERS = 3;
const ROUNDS = 25;

interface Child {
  readonly lines: string[];
  readonly ready: Promise<void>;
  kill(): Promise<void>;
}

function start(script: string, args: string[]): Child {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/../fixtures/bus/${script}`, ...args], {
    stdout: "pipe",
  });
  const lines: string[] = [];
  let isReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const ended = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() as string;
      lines.push(...parts.filter((line) => line !== "ready"));
      if (parts.includes("ready")) isReady();
    }
  })();
  return {
    lines,
    ready,
    kill: async () => {
      child.kill("SIGKILL");
      await Promise.all([child.exited, ended]);
    },
  };
}

/** Lets the children run for a random while of their own making: until so many lines have come. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

function readOut(bus: Bus, taken: string[]): void {
  const lease = bus.lease("sink", "data");
  if (lease === undefined) throw new Error("a killed receiver still holds the lease");
  for (let got = lease.read(100); got.length > 0; got = lease.read(100)) {
    for (const { message } of got) {
      const { n, fill } = message.payload as { n: number; fill: string };
      const whole = fill === String(n).repeat(fill.length / String(n).length);
      taken.push(`${message.from} ${message.sequence} ${n} ${whole ? "whole" : "torn"}`);
    }
    lease.ack(got.length);
  }
  lease.release();
}

async function round(bus: Bus, dir: string, random: Random, name: string): Promise<void> {
  const senders = Array.from({ length: SENDERS }, (_, n) =>
    start("sender.ts", [dir, `${name}s${n}`, "sink", String(1 + random.below(200))]),
  );
  const receiver = start("receiver.ts", [dir, "sink"]);
  await Promise.all([receiver.ready, ...senders.map((sender) => sender.ready)]);
  const enough = random.below(400);
  await until(() => senders.every((sender) => sender.lines.length >= enough) || receiver.lines.length > 3000);
  const victims = [receiver, ...senders].sort(() => random.next() - 0.5);
  for (const victim of victims) await victim.kill();

  const taken = [...receiver.lines];
  const received = taken.length;
  readOut(bus, taken);
  senders.forEach((sender, n) => {
    const from = `${name}s${n}`;
    const mine = taken.filter((line) => line.startsWith(`${from} `)).map((line) => line.split(" "));
    // The receiver's last line may come again: it printed and died before it acknowledged.
    const unique = mine.filter((line, at) => at === 0 || line[1] !== mine[at - 1]?.[1]);
    expect(mine.length - unique.length, `handed over twice of ${received}`).toBeLessThanOrEqual(1);
    expect(unique.map((line) => Number(line[1]))).toEqual(unique.map((_, at) => at + 1));
    expect(unique.map((line) => Number(line[2]))).toEqual(unique.map((_, at) => at + 1));
    expect(unique.every((line) => line[3] === "whole")).toBe(true);
    // Five in flight: a batch is accepted before its first line is printed.
    expect(unique.length).toBeGreaterThanOrEqual(sender.lines.length);
    expect(unique.length).toBeLessThanOrEqual(sender.lines.length + 5);
  });
  expect(bus.depth("sink", "data")).toBe(0);
}

test("nothing accepted is lost, torn or out of order when senders and receivers are killed", async () => {
  const random = seeded("killed senders and receivers");
  await withOpenBus(
    async (bus, dir) => {
      bus.register({ id: "sink", role: "worker" });
      for (let n = 0; n < ROUNDS; n++) await round(bus, dir, random, `r${n}`);
      expect(bus.sweep().damaged).toBe(0);
    },
    { shards: 1 },
  );
}, 120_000);
