/** Two hundred processes send to one inbox at once, fifty messages each; then again with twenty of them killed. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { startCfn } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";
import { seeded } from "../support/seed.ts";
import { linesOf, until } from "../support/swarm.ts";

const SENDERS = 200;
const EACH = 50;

interface Line {
  readonly msg_id: string;
  readonly from: string;
  readonly sequence: number;
  readonly payload: number;
}

async function crowd(base: string, victims: ReadonlySet<number>, pauseMs: () => number): Promise<void> {
  const env = { CFN_MESSAGE_BASE_DIR: base };
  const sink = startCfn(["agent", "sink", "--", "sleep", "300"], { env, timeoutMs: 110_000 });
  await until("the inbox is there", () => existsSync(`${base}/default/agents/sink/state`));
  const batch = Array.from({ length: EACH }, (_, n) => `{"to":"sink","payload":${n + 1}}`).join("\n");
  const receiver = startCfn(["recv", "sink", "--follow"], { env, timeoutMs: 100_000 });
  const senders = Array.from({ length: SENDERS }, (_, n) =>
    startCfn(["send", "--batch", "-", "--from", `s${n}`], { env, stdin: batch, timeoutMs: 90_000 }),
  );
  for (const victim of victims) {
    await Bun.sleep(pauseMs());
    senders[victim]?.kill("SIGKILL");
  }
  const outcomes = await Promise.all(senders.map((sender) => sender.outcome));
  const rest = startCfn(["recv", "sink"], { env });
  await rest.outcome;
  receiver.kill("SIGTERM");
  const followed = linesOf((await receiver.outcome).stdout);
  const received = [...followed, ...linesOf((await rest.outcome).stdout)];
  sink.kill("SIGTERM");
  await sink.outcome;

  const messages = received.map((line) => JSON.parse(line) as Line);
  const last = new Map<string, number>();
  for (const { from, sequence } of messages.slice(0, followed.length)) {
    expect(sequence, `after ${last.get(from)} of ${from}`).toBeGreaterThan(last.get(from) ?? 0);
    last.set(from, sequence);
  }
  const ids = new Set(messages.map((message) => message.msg_id));
  expect(ids.size).toBe(messages.length);
  outcomes.forEach(({ code, stdout }, n) => {
    const mine = messages.filter((message) => message.from === `s${n}`).sort((a, b) => a.sequence - b.sequence);
    expect(mine.map(({ payload }) => payload)).toEqual(mine.map((_, at) => at + 1));
    expect(mine.map(({ sequence }) => sequence)).toEqual(mine.map((_, at) => at + 1));
    if (!victims.has(n)) expect([code, mine.length]).toEqual([0, EACH]);
    // The last line of a killed one may be torn; what stands whole was acknowledged.
    for (const id of stdout.split("\n").slice(0, -1)) expect(ids.has(id), `${id} was acknowledged`).toBe(true);
  });
  if (victims.size === 0) expect(messages).toHaveLength(SENDERS * EACH);
}

test(
  "two hundred senders at once lose nothing and keep their order",
  () => withBusBase((base) => crowd(base, new Set(), () => 0)),
  120_000,
);

test("twenty of them killed, nothing acknowledged is missing and nothing is torn", () => {
  const random = seeded("killed senders in a crowd");
  const victims = new Set<number>();
  while (victims.size < 20) victims.add(random.below(SENDERS));
  return withBusBase((base) => crowd(base, victims, () => random.below(30)));
}, 120_000);
