/** Removing what dead processes left on a bus. Everything here may be done by any process at any time. */

import { openToRing } from "../os/fifo.ts";
import { closeFile, unlinkFile } from "../os/file.ts";
import { E } from "../os/libc.ts";
import { isAlive } from "../os/process.ts";
import { listDirectory } from "../os/tree.ts";
import { audit } from "./audit.ts";
import { bellPath } from "./bell.ts";
import { blobName } from "./blobs.ts";
import type { Swept } from "./contract.ts";
import { FLAG_BLOB, H, positionOf, R, S, SEGMENT_HEADER_BYTES, SLOT_HOSTED, TABLE_ENTRIES } from "./layout.ts";
import { freeHosting, isHostedHere, takeHosting } from "./leases.ts";
import { arePairsSound } from "./pairs.ts";
import { bodyOf, inspect, isTaken, lengthOf } from "./record.ts";
import { entryWord, placeOf } from "./segments.ts";
import { repair, type Shard, withShard } from "./shard.ts";
import { isTenanted, slotId, slotState, slotsUsed } from "./slots.ts";
import { vacate } from "./tenancy.ts";
import { sweepWaits } from "./waits.ts";

export function sweepBus(dir: string, shards: readonly Shard[]): Swept {
  const agents: string[] = [];
  const named = new Set<string>();
  let damaged = 0;
  // Whose writers are dead is looked at before the records are read: a living one may yet append the record that names its
  // blob, and then die.
  const blobs = listDirectory(`${dir}/blobs`).filter(isOrphan);
  globalThis.crashPoint?.("sweep.listed");
  for (const shard of shards) {
    withShard(shard, () => {
      audit(shard);
      vacateDead(shard, agents);
      if (!nameBlobs(shard, named) || !arePairsSound(shard)) {
        // A body that nobody names is removed below: first let every record be readable that can be.
        repair(shard);
        nameBlobs(shard, named);
      }
      damaged += shard.index.words[H.damaged] as number;
    });
    globalThis.crashPoint?.("sweep.shard_done");
  }
  for (const id of agents) {
    unlinkFile(`${dir}/agents/.${id}`);
    globalThis.crashPoint?.("sweep.unstated");
    unlinkFile(`${dir}/agents/${id}`);
  }
  sweepWaits(dir);
  return { agents, bells: sweepBells(dir), blobs: sweepBlobs(dir, blobs, named), damaged };
}

function vacateDead(shard: Shard, agents: string[]): void {
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    const state = slotState(shard, slot);
    if (!isTenanted(shard, slot) || isHostedHere(shard, slot) || !takeHosting(shard, slot)) continue;
    const id = slotId(shard, slot);
    if (vacate(shard, slot) === 0 || state === SLOT_HOSTED) agents.push(id);
    globalThis.crashPoint?.("sweep.vacated");
    freeHosting(shard, slot);
  }
}

/** Collects the blobs that unread records name. False where a record is not what was written: some may be missing then. */
function nameBlobs(shard: Shard, named: Set<string>): boolean {
  const words = shard.index.words;
  for (let entry = 0; entry < TABLE_ENTRIES; entry++) {
    if (words[entryWord(entry) + S.number] === 0) continue;
    const used = words[entryWord(entry) + S.used] as number;
    for (let at = SEGMENT_HEADER_BYTES; at < used; ) {
      const place = placeOf(shard, positionOf(entry, at));
      if (place === undefined || inspect(place, shard.segmentBytes) !== "whole") return false;
      at += lengthOf(place);
      if (((place.words[place.word + R.flags] as number) & FLAG_BLOB) === 0 || isTaken(place)) continue;
      const name = blobName(bodyOf(place));
      if (name !== undefined) named.add(name);
    }
  }
  return true;
}

/** Whether the process that wrote a blob is gone: nothing will name the blob that does not by now. */
function isOrphan(blob: string): boolean {
  const writer = /^\.?(\d+)-(\d+)-/.exec(blob);
  return writer === null || !isAlive({ pid: Number(writer[1]), startTicks: Number(writer[2]) });
}

function sweepBlobs(dir: string, orphans: readonly string[], named: ReadonlySet<string>): number {
  let removed = 0;
  for (const blob of orphans) {
    if (!named.has(blob) && unlinkFile(`${dir}/blobs/${blob}`) === 0) removed++;
    globalThis.crashPoint?.("sweep.blob_gone");
  }
  return removed;
}

function sweepBells(dir: string): number {
  let removed = 0;
  for (const name of listDirectory(`${dir}/bells`)) {
    const path = bellPath(dir, Number.parseInt(name, 16));
    const fd = openToRing(path);
    if (fd >= 0) closeFile(fd);
    else if (fd === -E.NXIO && unlinkFile(path) === 0) removed++;
    globalThis.crashPoint?.("sweep.bell_gone");
  }
  return removed;
}
