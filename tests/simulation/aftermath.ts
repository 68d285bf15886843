/**
 * What is left of a schedule: a fresh process opens the bus, compares each index with what a rebuild makes of the records,
 * sweeps, drains every inbox, leaves, and looks whether the memory is given back.
 */
import type { Shard } from "../../src/bus/shard.ts";
import type { Program, WovenBus } from "./bundle.ts";
import type { Kernel } from "./kernel.ts";
import { BUS, type Life } from "./scenario.ts";
import type { Steps } from "./steps.ts";

/** The index in words that do not depend on which table entry a segment has. */
export function describeIndex({ layout }: Program, shard: Shard): Record<string, unknown> {
  const { A, C, H, S } = layout;
  const { words } = shard.index;
  const number = (entry: number): number => words[layout.TABLE_WORD + entry * S.words + S.number] as number;
  const place = (position: number): string =>
    position === 0 ? "none" : `${number(layout.entryOf(position))}+${layout.offsetOf(position)}`;
  const described: Record<string, unknown> = {
    dirty: words[H.dirty],
    tail: words[H.tail] === 0 ? 0 : number((words[H.tail] as number) - 1),
    pairsUsed: words[H.pairsUsed],
    blobBytes: words[H.blobBytes],
    segments: words[H.segments],
    damaged: words[H.damaged],
  };
  for (let entry = 0; entry < layout.TABLE_ENTRIES; entry++) {
    const at = layout.TABLE_WORD + entry * S.words;
    if (words[at + S.number] === 0) continue;
    described[`segment ${words[at + S.number]}`] = [
      words[at + S.used],
      words[at + S.live],
      words[at + S.liveBytes],
    ].join();
  }
  for (let slot = 0; slot < (words[H.slotsUsed] as number); slot++) {
    const at = (layout.SLOTS_BYTE + slot * layout.SLOT_BYTES) >>> 2;
    for (const chain of [0, 1]) {
      const chainAt = at + A.chain + chain * C.words;
      described[`slot ${slot} chain ${chain}`] = [
        words[at + A.state],
        words[at + A.generation],
        words[at + A.bytes],
        place(words[chainAt + C.head] as number),
        place(words[chainAt + C.tail] as number),
        words[chainAt + C.depth],
        words[chainAt + C.sequence],
        words[chainAt + C.taken],
      ].join();
    }
  }
  return described;
}

function* compareWithRebuild(program: Program, shard: Shard, wrong: string[]): Steps<void> {
  // Taking the lock repairs what a death has left.
  yield* program.withShard(shard, function* () {});
  yield* program.withShard(shard, function* () {
    if (!program.isHeaderSealed(shard.index.words)) wrong.push(`${shard.dir}: the header is not sealed`);
    if (program.countFaults(shard) > 0) wrong.push(`${shard.dir}: ${program.countFaults(shard)} seals are untrue`);
    if (!(yield* program.arePairsSound(shard))) wrong.push(`${shard.dir}: the table of pairs is not sealed`);
  });
  const before = describeIndex(program, shard);
  yield* program.withShard(shard, function* () {
    yield* program.dirty(shard);
    yield* program.rebuildShard(shard);
    yield* program.clean(shard);
  });
  const after = describeIndex(program, shard);
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (before[key] !== after[key]) wrong.push(`the index has ${key} ${before[key]}, a rebuild makes it ${after[key]}`);
}

/** Runs in a process of its own, without faults. What is wrong. */
export function* settle(kernel: Kernel, program: Program, life: Life, bus: WovenBus): Steps<string[]> {
  const wrong: string[] = [];
  const shards: Shard[] = [];
  for (let n = 0; n < bus.info.shards; n++) shards.push(yield* bus.shard(n));
  // What a rebuild costs is a good part of a schedule.
  if (kernel.below(4) === 0) for (const shard of shards) yield* compareWithRebuild(program, shard, wrong);
  if ((yield* bus.sweep()).damaged > 0) wrong.push("a sweep finds damage where nobody damaged anything");
  yield* life.close();
  for (const { id } of yield* bus.agents()) yield* life.drain(id);
  for (const { id, depth } of yield* bus.agents())
    wrong.push(`${id} is still there, with ${depth.data} and ${depth.control} messages`);
  for (const shard of shards) inspectEmpty(kernel, program, shard, wrong);
  for (const path of kernel.files.keys())
    if (path.startsWith(`${BUS}/blobs/`) || path.startsWith(`${BUS}/bells/`)) wrong.push(`${path} is left`);
  return wrong;
}

/** All is read: what a shard may still occupy is its tail, one recycled segment, the spare, one table of pairs. */
function inspectEmpty(kernel: Kernel, { layout }: Program, shard: Shard, wrong: string[]): void {
  const { A, C, H, S } = layout;
  const { words } = shard.index;
  const tail = words[H.tail] as number;
  for (const name of ["dirty", "blobBytes", "holderPid"] as const)
    if (words[H[name]] !== 0) wrong.push(`${shard.dir}: ${name} is ${words[H[name]]} in the end`);
  const pairs = words[H.pairsNumber] as number;
  // A table whose maker died before it was named lies there until the next one is made in its place.
  const allowed = new Set(["lock", "leases", "index", "recycled", "spare", `pairs-${pairs}`, `pairs-${pairs + 1}`]);
  for (let entry = 0; entry < layout.TABLE_ENTRIES; entry++) {
    const at = layout.TABLE_WORD + entry * S.words;
    if (words[at + S.number] === 0) continue;
    allowed.add(`segment-${words[at + S.number]}`);
    if (entry + 1 !== tail)
      wrong.push(`${shard.dir}: segment ${words[at + S.number]} is kept, with nothing unread in it`);
    if (words[at + S.live] !== 0 || words[at + S.liveBytes] !== 0)
      wrong.push(`${shard.dir}: segment ${words[at + S.number]} counts ${words[at + S.live]} unread`);
  }
  for (let slot = 0; slot < (words[H.slotsUsed] as number); slot++) {
    const at = (layout.SLOTS_BYTE + slot * layout.SLOT_BYTES) >>> 2;
    if (words[at + A.bytes] !== 0) wrong.push(`${shard.dir}: slot ${slot} counts ${words[at + A.bytes]} bytes`);
    for (const chain of [C.head, C.tail, C.depth])
      if (words[at + A.chain + chain] !== 0 || words[at + A.chain + C.words + chain] !== 0)
        wrong.push(`${shard.dir}: slot ${slot} is empty and its chain leads somewhere`);
  }
  for (const path of kernel.files.keys()) {
    if (!path.startsWith(`${shard.dir}/`)) continue;
    const name = path.slice(shard.dir.length + 1);
    if (!allowed.has(name)) wrong.push(`${path} is left`);
  }
}
