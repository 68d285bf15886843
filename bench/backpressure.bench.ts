/**
 * One slow reader and 50 fast senders (`cfn send --batch`, real processes), while two others talk on the same bus, one pair in
 * the slow reader's shard and one in another: how deep its inbox gets, whether memory grows, whether each accepted message
 * arrives once, and what is left of the others' throughput: at a pace that leaves the machine room, and at their fastest.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openBus } from "../src/bus/bus.ts";
import type { Bus } from "../src/bus/contract.ts";
import { createBus } from "../src/bus/creation.ts";
import { destroyBus } from "../src/bus/removal.ts";
import { hashOf } from "../src/bus/slots.ts";
import { bytesBelow, cfnBinary, inPlace, type Place, root } from "./support/cfn.ts";
import { type Heard, PACE } from "./support/pressurePeer.ts";
import { rssBytes } from "./support/processes.ts";
import type { Bench, Check, Outcome, Row } from "./support/result.ts";
import { median } from "./support/stats.ts";

const MiB = 1024 * 1024;
const LINES_AT_ONCE = 50;

interface Peer {
  readonly pid: number;
  /** What it has printed, without the last newline. */
  readonly said: () => string;
  readonly say: (text: string) => void;
  /** Closes its stdin and waits for its end. */
  end(): Promise<void>;
}

async function startPeer(place: Place, ...args: readonly string[]): Promise<Peer> {
  const argv = [process.execPath, join(root, "bench/run.ts"), "pressure-peer", ...args];
  const child = Bun.spawn(argv, { env: place.env, stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) text += decoder.decode(chunk);
  })();
  const peer: Peer = {
    pid: child.pid,
    said: () => text.slice(0, Math.max(0, text.lastIndexOf("\n"))),
    say: (line) => {
      child.stdin.write(line);
      child.stdin.flush();
    },
    end: async () => {
      child.stdin.end();
      if ((await child.exited) !== 0) throw new Error(`${args.join(" ")} exited with ${child.exitCode}`);
    },
  };
  while (!text.startsWith("ready\n")) {
    if (child.exitCode !== null) throw new Error(`${args.join(" ")} exited with ${child.exitCode}`);
    await Bun.sleep(5);
  }
  return peer;
}

interface Sender {
  readonly pid: number;
  /** Messages given to it, and ids that it has printed. */
  readonly counts: { given: number; accepted: number };
  readonly stop: () => void;
  readonly ended: Promise<number>;
}

/** A `cfn send` that is given numbered messages to the slow reader as fast as it takes them. */
function startSender(place: Place, bus: string, id: string): Sender {
  const counts = { given: 0, accepted: 0 };
  let stopped = false;
  const pad = "x".repeat(300);
  const stdin = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (stopped) return controller.close();
      let text = "";
      for (let n = 0; n < LINES_AT_ONCE; n++)
        text += `${JSON.stringify({ to: "slow", payload: { n: ++counts.given, pad } })}\n`;
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
  const argv = [cfnBinary(), "send", "--batch", "-", "--from", id, "--timeout", "10m", "--bus", bus];
  const child = Bun.spawn(argv, { env: place.env, stdin, stdout: "pipe", stderr: "inherit" });
  const counted = (async () => {
    for await (const chunk of child.stdout) for (const byte of chunk) if (byte === 10) counts.accepted++;
  })();
  const ended = Promise.all([child.exited, counted]).then(([code]) => code);
  const stop = (): void => {
    stopped = true;
  };
  return { pid: child.pid, counts, ended, stop };
}

/** An id whose inbox lies in the shard of `slow`, or in another one. */
function listenerId(shards: number, near: boolean): string {
  for (let n = 0; ; n++) {
    const id = `ear${n}`;
    if ((hashOf(id) % shards === hashOf("slow") % shards) === near) return id;
  }
}

/** What the listener said last: received so far, and when. */
function heardBy(listener: Peer): { readonly count: number; readonly ms: number } {
  const [count = 0, ms = 0] = (listener.said().split("\n").at(-1) ?? "").split(" ").map(Number);
  return { count: count || 0, ms };
}

/** Messages a second that each listener gets while `meanwhile` runs. */
async function rates(listeners: readonly Peer[], meanwhile: () => Promise<void>): Promise<number[]> {
  const before = listeners.map(heardBy);
  await meanwhile();
  return listeners.map((listener, n) => {
    const { count, ms } = heardBy(listener);
    const since = before[n] as { readonly count: number; readonly ms: number };
    return ((count - since.count) / (ms - since.ms)) * 1000;
  });
}

interface Samples {
  depthMost: number;
  readonly rss: number[];
  readonly shm: number[];
}

async function look(bus: Bus, senders: readonly Sender[], ms: number, into: Samples): Promise<void> {
  const end = performance.now() + ms;
  for (let due = 0; performance.now() < end; await Bun.sleep(5)) {
    into.depthMost = Math.max(into.depthMost, bus.depth("slow", "data"));
    if (performance.now() < due) continue;
    due = performance.now() + ms / 60;
    into.rss.push(senders.reduce((sum, { pid }) => sum + rssBytes(pid), 0) / MiB);
    into.shm.push(bytesBelow(bus.info.dir) / MiB);
  }
}

/** The last quarter over the second one: the first is the start. */
function growth(samples: readonly number[]): number {
  const quarter = Math.floor(samples.length / 4);
  return median(samples.slice(-quarter)) / median(samples.slice(quarter, 2 * quarter));
}

/** The machine's pressure now, for whoever reads the figures. */
const busyAs = (): string => readFileSync("/proc/loadavg", "utf8").split(" ")[0] ?? "";

async function measure(place: Place, dir: string, smoke: boolean): Promise<Outcome> {
  const bus = openBus(dir);
  const { shards, inboxMessages } = bus.info;
  const [aloneMs, floodMs, count] = smoke ? [500, 2000, 50] : [8000, 60_000, 50];
  const reader = await startPeer(place, "slow", dir);
  const pairs: { listener: Peer; talker: Peer }[] = [];
  for (const near of [true, false]) {
    const id = listenerId(shards, near);
    const listener = await startPeer(place, "hear", dir, id);
    pairs.push({ listener, talker: await startPeer(place, "talk", dir, `voice-${id}`, id) });
  }
  const listeners = pairs.map(({ listener }) => listener);
  const tell = async (pace: "fast" | "paced"): Promise<void> => {
    for (const { talker } of pairs) talker.say(`${pace}\n`);
    await Bun.sleep(aloneMs / 3);
  };
  await tell("paced");
  const paced = await rates(listeners, () => Bun.sleep(aloneMs));
  await tell("fast");
  const before = await rates(listeners, () => Bun.sleep(aloneMs));

  const senders = Array.from({ length: count }, (_, n) => startSender(place, dir, `f${n}`));
  while (bus.depth("slow", "data") < inboxMessages) await Bun.sleep(5);
  const samples: Samples = { depthMost: 0, rss: [], shm: [] };
  const flooded = await rates(listeners, () => look(bus, senders, floodMs, samples));
  const load = busyAs();
  await tell("paced");
  const pacedFlooded = await rates(listeners, () => look(bus, senders, floodMs / 3, samples));

  for (const { stop } of senders) stop();
  const drained = Promise.all(senders.map(({ ended }) => ended));
  const given = () => senders.reduce((sum, { counts }) => sum + counts.given, 0);
  reader.say(`${given()}\n`);
  const codes = await drained;
  while (!reader.said().includes("{")) await Bun.sleep(5);
  const heard = JSON.parse(reader.said().split("\n").at(-1) as string) as Heard;
  await reader.end();
  await tell("fast");
  // Machines have slow minutes: what the flood is set against is taken on both sides of it.
  const after = await rates(listeners, () => Bun.sleep(aloneMs));
  const alone = before.map((rate, n) => (rate + (after[n] as number)) / 2);
  for (const { talker, listener } of pairs) {
    await talker.end();
    await listener.end();
  }
  const accepted = senders.reduce((sum, { counts }) => sum + counts.accepted, 0);
  const { refusedInboxFull, accepted: ofBus } = bus.stats();
  bus.close();

  const where = ["a pair in the slow reader's shard", "a pair in another shard"];
  const share = (what: string, flood: readonly number[], quiet: readonly number[], least: number): Row[] =>
    where.map((pair, n) => ({
      what: `${pair}, ${what}: throughput with ${count} senders flooding / without`,
      unit: "×",
      samples: [(flood[n] as number) / (quiet[n] as number)],
      target: { least },
    }));
  const rows: Row[] = [
    ...share(`sending ${PACE} messages a second`, pacedFlooded, paced, 0.99),
    ...share("sending as fast as it can, which takes both cores without the flood too", flooded, alone, 0.8),
    { what: "both pairs without the flood, before and after it", unit: "messages/s", samples: [...before, ...after] },
    { what: "both pairs with the flood", unit: "messages/s", samples: flooded },
    { what: `depth of the slow inbox, of ${inboxMessages}`, unit: "messages", samples: [samples.depthMost] },
    {
      what: "memory of the senders, last quarter / second",
      unit: "×",
      samples: [growth(samples.rss)],
      target: { most: 1.1 },
    },
    {
      what: "bus on /dev/shm, last quarter / second",
      unit: "×",
      samples: [growth(samples.shm)],
      target: { most: 1.1 },
    },
    { what: "memory of the senders together", unit: "MiB", samples: samples.rss },
    { what: "bus on /dev/shm", unit: "MiB", samples: samples.shm },
    { what: "messages to the slow reader", unit: "messages", samples: [accepted] },
  ];
  const checks: Check[] = [
    {
      what: "the inbox was full, and never deeper than its bound",
      ok: samples.depthMost === inboxMessages && refusedInboxFull > 0,
      seen: `${samples.depthMost} at most, ${refusedInboxFull} attempts refused; load ${load}`,
    },
    {
      what: "each accepted message was received once, in its sender's order",
      ok: heard.wrong === 0 && heard.received === accepted && accepted === given(),
      seen: `${given()} given, ${accepted} accepted, ${heard.received} received, ${heard.wrong} wrong`,
    },
    {
      what: "every sender waited to the end",
      ok: codes.every((code) => code === 0) && ofBus >= accepted,
      seen: `exit statuses ${[...new Set(codes)].join(", ")}`,
    },
  ];
  return { rows, checks, left_out: [] };
}

export const backpressureBench: Bench = {
  name: "backpressure",
  claims: [
    "50 senders that flood a slow reader for 60 s: its inbox never deeper than its bound, memory flat, no message lost",
    `others on the same bus that send ${PACE} messages a second keep that pace; those that take all cores, 0.8 of their throughput`,
  ],
  commands: ["bun bench/run.ts backpressure"],
  run: ({ smoke }) =>
    inPlace(async (place) => {
      mkdirSync(place.base, { mode: 0o700 });
      const dir = join(place.base, "bench");
      createBus(dir);
      try {
        return await measure(place, dir, smoke);
      } finally {
        destroyBus(dir);
      }
    }),
};
