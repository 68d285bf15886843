/**
 * Making the slots of an index whole again. Which agent sits in which slot is the one thing in the index that is no mere
 * cache: it is sealed, and where the seal is broken the records still say it, each in its body.
 */
import { isAgentId, type Message } from "../message/message.ts";
import { isIdentitySound } from "./audit.ts";
import { loadBlob } from "./blobs.ts";
import {
  A,
  C,
  CHAIN,
  FLAG_BLOB,
  positionOf,
  S,
  SEGMENT_HEADER_BYTES,
  SLOT_AWAY,
  SLOT_FREE,
  SLOT_HOSTED,
  SLOT_LOST,
} from "./layout.ts";
import { freeHosting, isHostedHere, takeHosting } from "./leases.ts";
import type { Adopted } from "./mend.ts";
import { bodyOf, isLater, lengthOf, type RecordHeader, readHeader } from "./record.ts";
import { isChainSealed, isStandingSealed, sealedGeneration, sealStanding } from "./seals.ts";
import { entryWord, type Place, placeOf } from "./segments.ts";
import type { Shard } from "./shard.ts";
import { chainWord, depthOf, hashOf, slotId, slotState, slotsUsed, slotWord, writeTenant } from "./slots.ts";

const decoder = new TextDecoder();

/** Beyond any generation that a slot had: whoever still has one of those in mind must not find its next tenant by it. */
const GENERATIONS_SKIPPED = 1_000_003;

/** Calls `visit` for each record of mended segments. */
export function eachRecord(
  shard: Shard,
  segments: readonly Adopted[],
  visit: (place: Place, header: RecordHeader, position: number) => void,
): void {
  for (const { entry } of segments) {
    const used = shard.index.words[entryWord(entry) + S.used] as number;
    for (let at = SEGMENT_HEADER_BYTES; at < used; ) {
      const position = positionOf(entry, at);
      const place = placeOf(shard, position);
      if (place === undefined) break;
      at += lengthOf(place);
      visit(place, readHeader(place), position);
    }
  }
}

/**
 * Gives each slot a tenant that is certain, or none. After a death (`died`) a slot that is free and half-written was being
 * taken up.
 *
 * @returns those whose state nothing says: `settleStates` does, once their inboxes are linked.
 */
export function mendSlots(shard: Shard, segments: readonly Adopted[], died: boolean): readonly number[] {
  const { words } = shard.index;
  const unsettled: number[] = [];
  const lost: number[] = [];
  for (let slot = 0; slot < slotsUsed(shard); slot++) {
    const at = slotWord(slot);
    const standing = isStandingSealed(words, at);
    if (standing && slotState(shard, slot) === SLOT_LOST) continue;
    const identity = isIdentitySound(shard, slot);
    if (identity && standing) continue;
    // Free, and being taken up or hit: no one's either way.
    if (!identity && (standing || died) && slotState(shard, slot) === SLOT_FREE) free(shard, slot, died);
    else {
      if (!identity) lost.push(slot);
      unsettled.push(slot);
    }
  }
  const nobodys = lost.length > 0 ? findTenants(shard, segments, new Set(lost)) : [];
  const known = unsettled.filter((slot) => !nobodys.includes(slot));
  // For the time being, so that their records are looked at.
  for (const slot of known) words[slotWord(slot) + A.state] = SLOT_AWAY;
  return known;
}

function free(shard: Shard, slot: number, died: boolean): void {
  const { words } = shard.index;
  const at = slotWord(slot);
  // What counts on from tenant to tenant is believed where nobody can have damaged it.
  for (const chain of [CHAIN.data, CHAIN.control])
    if (!died && !isChainSealed(words, at, chain)) words[chainWord(slot, chain) + C.sequence] = 0;
  const generation = (words[at + A.generation] as number) + GENERATIONS_SKIPPED;
  writeTenant(shard, slot, generation >>> 0, "");
}

interface Tenant {
  readonly id: string;
  readonly generation: number;
}

/** Finds out whose these slots are from what is left of them and from their records; those of which nobody says it. */
function findTenants(shard: Shard, segments: readonly Adopted[], slots: ReadonlySet<number>): number[] {
  const nobodys: number[] = [];
  const said = new Map<number, Tenant[]>();
  eachRecord(shard, segments, (place, { slot, generation, flags }) => {
    if (!slots.has(slot)) return;
    const id = recipientOf(shard, place, (flags & FLAG_BLOB) !== 0);
    const known = said.get(slot) ?? [];
    if (id === undefined || known.some((one) => one.id === id && one.generation === generation)) return;
    said.set(slot, [...known, { id, generation }]);
  });
  const elsewhere = new Set<string>();
  for (let slot = 0; slot < slotsUsed(shard); slot++) if (!slots.has(slot)) elsewhere.add(slotId(shard, slot));
  const { words } = shard.index;
  for (const slot of slots) {
    const at = slotWord(slot);
    const tenant = tenantOf(shard, slot, said.get(slot) ?? []);
    if (tenant === undefined || elsewhere.has(tenant.id)) {
      nobodys.push(slot);
      free(shard, slot, false);
      // Whoever hosts it keeps the right to: nobody else could be its host.
      if (isHosted(shard, slot)) {
        words[at + A.state] = SLOT_LOST;
        sealStanding(words, at);
      }
      continue;
    }
    elsewhere.add(tenant.id);
    const kept = words.slice(at, at + A.identity);
    const standing = words[at + A.standing] as number;
    writeTenant(shard, slot, tenant.generation, tenant.id);
    kept[A.generation] = tenant.generation;
    kept[A.idHash] = words[at + A.idHash] as number;
    words.set(kept, at);
    words[at + A.standing] = standing;
  }
  return nobodys;
}

/**
 * Words that agree are right: the id with its hash, the generation (as written, or as the identity's seal has it) with the
 * seals of chains, both with a record. Where both generations agree with something, more counts: a seal that was hit too may agree
 * with a wrong one, since what hits the highest byte of a word changes only the highest one of a sum.
 */
function tenantOf(shard: Shard, slot: number, said: readonly Tenant[]): Tenant | undefined {
  const { words } = shard.index;
  const at = slotWord(slot);
  const id = slotId(shard, slot);
  const isId = isAgentId(id) && words[at + A.idHash] === hashOf(id);
  const written = words[at + A.generation] as number;
  const sealsWith = (generation: number): number => {
    words[at + A.generation] = generation;
    return Number(isChainSealed(words, at, CHAIN.data)) + Number(isChainSealed(words, at, CHAIN.control));
  };
  const votesFor = (generation: number): number =>
    sealsWith(generation) + Number(said.some((one) => one.generation === generation));
  const solved = sealedGeneration(shard, slot, at);
  const more = votesFor(solved) - votesFor(written);
  // Where neither has more: solved from a damaged seal it would be any number, and generations are small ones.
  const generation = more > 0 || (more === 0 && solved < GENERATIONS_SKIPPED) ? solved : written;
  const isGeneration = sealsWith(generation) > 0;
  let best: Tenant | undefined;
  for (const one of said) {
    if ((isId && one.id !== id) || (isGeneration && one.generation !== generation)) continue;
    if (best === undefined || isLater(one.generation, best.generation)) best = one;
  }
  return best ?? (isId ? { id, generation } : undefined);
}

/** Whom a message's text names; undefined where that is no agent. The record is whole. */
function recipientOf(shard: Shard, place: Place, isBlob: boolean): string | undefined {
  const body = isBlob ? loadBlob(`${shard.dir}/../..`, bodyOf(place)) : bodyOf(place);
  if (body === undefined) return undefined;
  const { to } = JSON.parse(decoder.decode(body)) as Partial<Message>;
  return typeof to === "string" && isAgentId(to) ? to : undefined;
}

function isHosted(shard: Shard, slot: number): boolean {
  if (isHostedHere(shard, slot)) return true;
  const free = takeHosting(shard, slot);
  if (free) freeHosting(shard, slot);
  return !free;
}

/** Of the slots whose state nothing says: hosted if a living process holds the right to, else by what is unread. */
export function settleStates(shard: Shard, unsettled: readonly number[]): void {
  const { words } = shard.index;
  for (const slot of unsettled) {
    const at = slotWord(slot);
    const unread = depthOf(shard, slot, CHAIN.data) + depthOf(shard, slot, CHAIN.control);
    const state = isHosted(shard, slot) ? SLOT_HOSTED : unread > 0 ? SLOT_AWAY : SLOT_FREE;
    Atomics.store(words, at + A.state, state);
    sealStanding(words, at);
  }
}
