/**
 * Making a bus, and holding it as living. A bus comes into being whole: it is built under a hidden name and renamed.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  closeFile,
  fileSystemSpace,
  makeDirectory,
  O,
  openFile,
  renameFile,
  replaceFile,
  type Space,
} from "../os/file.ts";
import { E, errorText } from "../os/libc.ts";
import { trySharedLock } from "../os/lock.ts";
import { bootId, ownIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";
import { removeTree } from "../os/tree.ts";
import { isBus, parentOf } from "./directory.ts";
import { LAYOUT, shardName } from "./layout.ts";
import { type BusBounds, checkBounds, type Meta, metaText } from "./meta.ts";
import { claims } from "./owner.ts";
import { checkOwned, secureDirectory } from "./safety.ts";
import { createShard } from "./shard.ts";

/**
 * Holds the bus as living until the returned function is called or the process dies. Any number of processes may.
 *
 * @throws CfnError unavailable, if the bus is being removed.
 */
export function claimBus(dir: string): () => void {
  let fd = claims.get(dir);
  if (fd === undefined) {
    fd = openFile(`${dir}/owner`, O.RDWR);
    if (fd < 0 || !trySharedLock(fd)) {
      if (fd >= 0) closeFile(fd);
      throw new CfnError("unavailable", `the bus ${dir} is being removed`, "try again");
    }
    claims.set(dir, fd);
  }
  const held = fd;
  return () => {
    if (claims.get(dir) !== held) return;
    claims.delete(dir);
    closeFile(held);
  };
}

/** The bound of a bus made in so much free space. */
export const busBytesIn = (freeBytes: number, wanted: number = limits.busBytes): number =>
  Math.min(wanted, Math.floor(freeBytes / 2));

/** A run that ends removes an empty base, perhaps between two calls of whoever makes a bus in it. */
const TRIES = 20;
/** Each shard costs whoever opens it a dozen system calls, and whoever sends the first message into it three files. */
const FEW_SHARDS = 2;

/** How a bus is cut for the space there is: half of what is free, in few and small shards where that is little, in few for few agents. */
function plan(space: Space, options: BusBounds): Omit<Meta, "magic" | "layout" | "uuid" | "boot_id"> {
  const busBytes = busBytesIn(space.freeBytes, options.busBytes);
  const roomy = busBytes >= limits.busBytes / 4;
  const usual = roomy ? limits.shardsDefault : busBytes >= 2 * limits.busBytesLeast ? 4 : FEW_SHARDS;
  const isFew = (options.agents ?? Number.POSITIVE_INFINITY) <= limits.agentsOnFewShards;
  // They hold no more than their tables of segments list.
  const fits = busBytes <= FEW_SHARDS * limits.segmentsPerShard * limits.segmentBytes;
  const shards = options.shards ?? (isFew && fits ? FEW_SHARDS : usual);
  return {
    shards,
    segment_bytes: roomy ? limits.segmentBytes : limits.segmentBytesSmall,
    bus_bytes: busBytes,
    inbox_messages: options.inboxMessages ?? limits.inboxMessages,
    inbox_bytes: options.inboxBytes ?? limits.inboxBytes,
  };
}

/**
 * Makes a bus and claims it for this process. Does nothing but claim if it is there already.
 *
 * @throws CfnError usage for a bound that no bus may have, refused for an unsafe directory, cannot_create or unavailable where there is no room or permission.
 */
export function createBus(dir: string, options: BusBounds = {}): void {
  checkBounds(options);
  const base = parentOf(dir);
  for (let left = TRIES; left > 0; left--) {
    if (!secureDirectory(base)) continue;
    if (isBus(dir)) {
      checkOwned(dir);
      claimBus(dir);
      return;
    }
    const { pid, startTicks } = ownIdentity();
    const hidden = `${base}/.new-${pid}-${startTicks}-${randomId()}`;
    const made = makeDirectory(hidden, 0o700);
    if (made === -E.NOENT) continue;
    if (made < 0)
      throw new CfnError("cannot_create", `cannot create ${hidden}: ${errorText(-made)}`, "set CFN_MESSAGE_BASE_DIR");
    globalThis.crashPoint?.("create.hidden");
    try {
      build(hidden, options);
    } catch (error) {
      removeTree(hidden);
      throw error;
    }
    globalThis.crashPoint?.("create.built");
    const owner = openFile(`${hidden}/owner`, O.RDWR);
    trySharedLock(owner);
    globalThis.crashPoint?.("create.owned");
    if (renameFile(hidden, dir) === 0) {
      globalThis.crashPoint?.("create.shown");
      claims.set(dir, owner);
      return;
    }
    // Somebody else was quicker: theirs is the bus.
    closeFile(owner);
    removeTree(hidden);
  }
  throw new CfnError("cannot_create", `cannot create the bus ${dir}: others keep removing it`, "try again");
}

function build(dir: string, options: BusBounds): void {
  const space = fileSystemSpace(dir) as Space;
  const shape = plan(space, options);
  const meta: Meta = { magic: "cfn-bus", layout: LAYOUT, uuid: randomId(), boot_id: bootId(), ...shape };
  const must = (path: string, outcome: number): void => {
    if (outcome >= 0) return;
    throw new CfnError("cannot_create", `cannot create ${path}: ${errorText(-outcome)}`, "free some space there");
  };
  for (const part of ["shards", "blobs", "agents", "bells", "bin"])
    must(`${dir}/${part}`, makeDirectory(`${dir}/${part}`));
  globalThis.crashPoint?.("create.parts");
  for (let n = 0; n < shape.shards; n++) createShard(`${dir}/shards/${shardName(n)}`);
  globalThis.crashPoint?.("create.shard_made");
  must(`${dir}/meta`, replaceFile(`${dir}/meta`, metaText(meta)));
  const owner = openFile(`${dir}/owner`, O.RDWR | O.CREAT);
  must(`${dir}/owner`, owner);
  closeFile(owner);
}
