/**
 * The bus against Redis streams and NATS: 300-byte messages, acknowledged one by one, batched, between two processes, and
 * there and back. The bus runs from source under Bun (`bun bench/run.ts`), not in the compiled binary; the clients of
 * Redis and NATS are blocking system calls on commands encoded beforehand, so they lose nothing to an event loop.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createBus } from "../src/bus/creation.ts";
import { destroyBus } from "../src/bus/removal.ts";
import { inPlace, type Place } from "./support/cfn.ts";
import { bodies, Checksum, checksumOf, type Messaging } from "./support/messaging.ts";
import { connect, type Engine, empty, startPeer } from "./support/peer.ts";
import { Recorder } from "./support/recorder.ts";
import type { Bench, Row } from "./support/result.ts";
import { withNats, withRedis } from "./support/servers.ts";
import { median, quantile, ratios } from "./support/stats.ts";

const pool = bodies(500);

interface Contest {
  readonly engine: Engine;
  readonly label: string;
  readonly address: string;
}

const measured = {
  median: "publish acknowledged, one process, median",
  p99: "publish acknowledged, one process, p99",
  mean: "publish acknowledged, one process, mean",
  batch: "published in batches of 500",
  drain: "taken in batches",
  between: "per acknowledged message to another process that drains, mean",
  batchBetween: "batched to another process that drains",
  tripMedian: "there and back between two processes, median",
  tripP99: "there and back between two processes, p99",
} as const;

/** µs of each call of `act`, over `count` bodies; after each pool's worth `between` runs, untimed. */
function timeEach(count: number, act: (body: string) => void, between: (done: number) => void): number[] {
  const times: number[] = [];
  while (times.length < count) {
    const bodiesNow = pool.slice(0, count - times.length);
    for (const body of bodiesNow) {
      const start = Bun.nanoseconds();
      act(body);
      times.push((Bun.nanoseconds() - start) / 1000);
    }
    between(bodiesNow.length);
  }
  return times;
}

/** One process that sends to itself: what sending costs with nobody beside it. Reading is not in the sender's figures. */
function measureAlone({ engine, address, label }: Contest, count: number, recorder: Recorder): void {
  empty(engine, address);
  const messaging = connect(engine, address, "alone", "alone");
  const seen = new Checksum();
  const drain = (done: number) => messaging.consume(done, (body) => seen.add(body));
  try {
    const single = timeEach(count, messaging.publish, drain);
    recorder.note(`${label}: ${measured.median}`, median(single));
    recorder.note(`${label}: ${measured.p99}`, quantile(single, 0.99));
    recorder.note(`${label}: ${measured.mean}`, single.reduce((sum, each) => sum + each, 0) / count);
    recorder.check(`${label}: one by one, count and checksum`, `${seen}`, checksumOf(pool, count));

    let publishing = 0;
    let draining = 0;
    let batched = 0;
    while (batched < count) {
      const start = Bun.nanoseconds();
      messaging.publishBatch(pool);
      const published = Bun.nanoseconds();
      drain(pool.length);
      publishing += published - start;
      draining += Bun.nanoseconds() - published;
      batched += pool.length;
    }
    recorder.note(`${label}: ${measured.batch}`, (batched / publishing) * 1e9);
    recorder.note(`${label}: ${measured.drain}`, (batched / draining) * 1e9);
    recorder.check(`${label}: batched, count`, `${seen.count}`, `${count + batched}`);
  } finally {
    messaging.close();
  }
}

/** This process sends, another one takes; its checksum is compared with what was sent. */
async function withConsumer(
  { engine, address, label }: Contest,
  count: number,
  recorder: Recorder,
  send: (messaging: Messaging) => void,
): Promise<void> {
  empty(engine, address);
  const messaging = connect(engine, address, "bench", "peer");
  const peer = await startPeer(engine, address, "consume", count);
  try {
    send(messaging);
    recorder.check(`${label}: two processes, count and checksum`, await peer.finished(), checksumOf(pool, count));
  } finally {
    peer.kill();
    messaging.close();
  }
}

async function measureTrips({ engine, address, label }: Contest, count: number, recorder: Recorder): Promise<void> {
  empty(engine, address);
  const messaging = connect(engine, address, "bench", "peer");
  const peer = await startPeer(engine, address, "answer", count);
  const seen = new Checksum();
  try {
    const take = (body: string | Uint8Array) => seen.add(body);
    const ask = (body: string) => messaging.ask(body, take);
    const times = timeEach(count, ask, () => {});
    await peer.finished();
    recorder.note(`${label}: ${measured.tripMedian}`, median(times));
    recorder.note(`${label}: ${measured.tripP99}`, quantile(times, 0.99));
    recorder.check(`${label}: answers, count and checksum`, `${seen}`, checksumOf(pool, count));
  } finally {
    peer.kill();
    messaging.close();
  }
}

/** Everything that one engine is measured at, once. */
async function measure(contest: Contest, count: number, recorder: Recorder): Promise<void> {
  const note = (what: string, value: number) => recorder.note(`${contest.label}: ${what}`, value);
  measureAlone(contest, count, recorder);
  await withConsumer(contest, count, recorder, (messaging) => {
    const start = Bun.nanoseconds();
    for (let i = 0; i < count; i++) messaging.publish(pool[i % pool.length] as string);
    note(measured.between, (Bun.nanoseconds() - start) / 1000 / count);
  });
  await withConsumer(contest, count, recorder, (messaging) => {
    const start = Bun.nanoseconds();
    for (let i = 0; i < count; i += pool.length) messaging.publishBatch(pool.slice(0, count - i));
    note(measured.batchBetween, (count / (Bun.nanoseconds() - start)) * 1e9);
  });
  await measureTrips(contest, Math.max(100, Math.round(count / 10)), recorder);
}

function rowsOf(recorder: Recorder, labels: readonly string[]): Row[] {
  const rows: Row[] = [];
  const ours = recorder.samples(`cfn: ${measured.between}`);
  for (const label of labels.filter((each) => each.startsWith("Redis"))) {
    // Two readings of the claim: Redis spared any reader is the harder one.
    const spared = ratios(recorder.samples(`${label}: ${measured.mean}`), ours);
    const alike = ratios(recorder.samples(`${label}: ${measured.between}`), ours);
    const target = { least: 5 };
    rows.push(
      {
        what: `${label} XADD / cfn, µs per acknowledged message, another process drains both`,
        unit: "×",
        samples: alike,
        target,
      },
      {
        what: `${label} XADD with no reader / cfn while another process drains it`,
        unit: "×",
        samples: spared,
        target,
      },
    );
  }
  for (const [what, samples] of recorder.all()) {
    const row = { what, unit: /batch/.test(what) ? "messages/s" : "µs", samples };
    if (what === `cfn: ${measured.median}`) rows.push({ ...row, target: { most: 3 } });
    else if (what === `cfn: ${measured.batch}`) rows.push({ ...row, target: { least: 500_000 } });
    else rows.push(row);
  }
  return rows;
}

/** Calls `run` with whoever is there to be compared; returns who is missing. */
async function withContests(place: Place, bus: string, run: (list: Contest[]) => Promise<void>): Promise<string[]> {
  const missing: string[] = [];
  const dir = join(place.dir, "servers");
  mkdirSync(dir);
  const list: Contest[] = [{ engine: "cfn", label: "cfn", address: bus }];
  const beside = async () => {
    const served = await withRedis(dir, async (server) => {
      list.push({ engine: "redis", label: "Redis (unix socket)", address: server.unix });
      list.push({ engine: "redis", label: "Redis (TCP)", address: `${server.tcp}` });
      await run(list);
      return true;
    });
    if (served) return;
    missing.push("Redis: redis-server is not installed");
    await run(list);
  };
  const served = await withNats(dir, async (port) => {
    list.push({ engine: "nats", label: "NATS", address: `${port}` });
    await beside();
    return true;
  });
  if (!served) {
    missing.push("NATS: nats-server is not installed");
    await beside();
  }
  return missing;
}

export const busBench: Bench = {
  name: "bus",
  claims: [
    "publish with acknowledgement at most 3 µs at the median inside one process, at least 500,000 messages/s batched",
    "between two processes at least 5× fewer µs per acknowledged message than Redis XADD",
  ],
  commands: [
    "bun bench/run.ts bus   (300-byte bodies; redis-server and nats-server on this machine, nothing persisted)",
  ],
  async run(sizes) {
    const recorder = new Recorder();
    let labels: string[] = [];
    const left_out = await inPlace(async (place) => {
      mkdirSync(place.base, { mode: 0o700 });
      const bus = join(place.base, "bench");
      createBus(bus);
      try {
        return await withContests(place, bus, async (list) => {
          labels = list.map((contest) => contest.label);
          for (let round = 0; round <= sizes.rounds; round++) {
            recorder.measuring = round > 0;
            for (const contest of list) await measure(contest, sizes.messages, recorder);
          }
        });
      } finally {
        destroyBus(bus);
      }
    });
    return { rows: rowsOf(recorder, labels), checks: recorder.checks(), left_out };
  },
};
