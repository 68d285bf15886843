/**
 * The processes of the backpressure benchmark: `bun bench/run.ts pressure-peer ROLE BUS …`. Each says "ready", and does its
 * part until its stdin says otherwise.
 */
import { openBus } from "../../src/bus/bus.ts";
import type { Bell, Bus, Lease } from "../../src/bus/contract.ts";
import { limits } from "../../src/limits.ts";
import { sleepMs } from "../../src/os/clock.ts";

/** What the slow reader found. */
export interface Heard {
  readonly received: number;
  /** Messages that came twice, out of their sender's order, or behind one that is missing. */
  readonly wrong: number;
}

/** Messages that it takes at once, and its rest between two times. */
const SLOW_TAKES = 20;
const SLOW_RESTS_MS = 10;
const TELL_MS = 100;
const AT_ONCE = 250;
/** Messages a second that a talker sends that was told to keep a pace; it looks at the clock so often. */
export const PACE = 10_000;
const PACE_LOOK_MS = 5;

function leaseOf(bus: Bus, id: string): Lease {
  bus.register({ id, role: "guest" });
  const lease = bus.lease(id, "data");
  if (lease === undefined) throw new Error(`another process reads the inbox of ${id}`);
  process.stdout.write("ready\n");
  return lease;
}

/** Text from stdin so far; undefined once it has ended. */
function listen(): { text: string | undefined } {
  const said: { text: string | undefined } = { text: "" };
  process.stdin.on("data", (chunk) => {
    said.text += String(chunk);
  });
  process.stdin.on("end", () => {
    said.text = undefined;
  });
  return said;
}

/** Takes its time, until stdin says how many messages there are in all: then it takes the rest as fast as it can. */
async function slow(bus: Bus): Promise<void> {
  const said = listen();
  const lease = leaseOf(bus, "slow");
  const last = new Map<string, number>();
  let received = 0;
  let wrong = 0;
  for (let total = Number.POSITIVE_INFINITY; received < total; ) {
    const some = lease.read(total < Number.POSITIVE_INFINITY ? AT_ONCE : SLOW_TAKES);
    for (const { message } of some) {
      const { from, payload } = message;
      const number = (payload as { readonly n: number }).n;
      if (number !== (last.get(from) ?? 0) + 1) wrong++;
      last.set(from, number);
    }
    received += some.length;
    if (some.length > 0) lease.ack(some.length);
    if (said.text?.endsWith("\n")) total = Number(said.text);
    await Bun.sleep(total < Number.POSITIVE_INFINITY ? 0 : SLOW_RESTS_MS);
  }
  process.stdout.write(`${JSON.stringify({ received, wrong } satisfies Heard)}\n`);
  process.exit(0);
}

/** Takes what comes, and says now and then how much that was, and when: milliseconds of its own clock. */
async function hear(bus: Bus, id: string): Promise<void> {
  const said = listen();
  const lease = leaseOf(bus, id);
  const bell: Bell = bus.bell();
  let received = 0;
  let told = performance.now();
  while (said.text !== undefined) {
    const some = lease.read(AT_ONCE);
    if (some.length > 0) lease.ack(some.length);
    else {
      bell.arm(id, "data");
      if (lease.depth() === 0) bell.waitSync(TELL_MS);
    }
    received += some.length;
    if (performance.now() - told < TELL_MS) continue;
    told = performance.now();
    process.stdout.write(`${received} ${told}\n`);
    await Bun.sleep(0);
  }
  process.exit(0);
}

/** Sends until stdin ends: as fast as it can, or `PACE` a second while the last line that it was told is "paced". */
async function talk(bus: Bus, from: string, to: string): Promise<void> {
  const said = listen();
  process.stdout.write("ready\n");
  const draft = { from, to, type: "bench", payload: "x".repeat(300) };
  const accepted = (): boolean => bus.send(draft).status === "accepted";
  let begun: number | undefined;
  let sent = 0;
  while (said.text !== undefined) {
    if (said.text.endsWith("paced\n")) {
      begun ??= performance.now();
      for (const due = ((performance.now() - begun) / 1000) * PACE; sent < due && accepted(); sent++);
      await Bun.sleep(PACE_LOOK_MS);
      continue;
    }
    begun = undefined;
    sent = 0;
    for (let n = 0; n < limits.inboxMessages; n++) if (!accepted()) sleepMs(0.05);
    await Bun.sleep(0);
  }
  process.exit(0);
}

export async function runPressurePeer([role, dir, ...ids]: readonly string[]): Promise<void> {
  const bus = openBus(dir as string);
  const [first = "", second = ""] = ids;
  if (role === "slow") await slow(bus);
  else if (role === "hear") await hear(bus, first);
  else await talk(bus, first, second);
}
