/**
 * What the bus promises to the layers above. `bus.ts` implements it; nothing above imports any other file of `bus/`
 * but `directory.ts` (where buses are), `creation.ts` and `removal.ts`, `roster.ts`, `board.ts` (what a run shows of itself),
 * `waits.ts` (who waits for whom) and this one.
 */
import type { Chain, Draft, Message } from "../message/message.ts";

/** The outcome of one attempt to send. Only `accepted` and `duplicate` mean that the message is on the bus. */
export type Sent =
  | { readonly status: "accepted"; readonly msgId: string; readonly sequence: number }
  /** The same sender already sent this sequence number (or a later one) to this recipient. Nothing was appended. */
  | { readonly status: "duplicate"; readonly msgId: string; readonly sequence: number }
  | Full
  /** No such agent is registered. */
  | { readonly status: "gone"; readonly to: string }
  /** The run is ending: its bus takes no further data message. */
  | { readonly status: "closed" }
  /** An explicit sequence number that skips some: an earlier message was never sent. */
  | { readonly status: "gap"; readonly expected: number };

/**
 * Wait and try again: the recipient's inbox or the bus is at its bound, or the sender at the rate that a loaded machine
 * permits, which says after how many milliseconds it is not. Nothing was appended; and a message sent under a sequence
 * number of the sender's own is not on the bus from an earlier attempt either.
 */
export interface Full {
  readonly status: "full";
  readonly what: "inbox" | "bus" | "rate";
  readonly limit: string;
  readonly retryMs?: number;
}

export type Role = "master" | "coordinator" | "worker" | "guest";

export interface AgentEntry {
  readonly id: string;
  readonly role: Role;
  /** The coordinator that leads this agent; "" for none. */
  readonly team: string;
  /** The process that hosts it, 0 when nobody does. */
  readonly hostPid: number;
  /** Messages accepted and not yet acknowledged. */
  readonly depth: { readonly data: number; readonly control: number };
  /** How often this id has been taken up: 1 for the first host. */
  readonly incarnation: number;
}

export interface Registration {
  readonly id: string;
  readonly role: Role;
  readonly team?: string;
}

export type Registered =
  | { readonly status: "registered"; readonly incarnation: number }
  /** A living process hosts this id. */
  | { readonly status: "taken"; readonly hostPid: number }
  | { readonly status: "full"; readonly limit: string };

/** A message handed over and not yet acknowledged. */
export interface Delivery {
  readonly message: Message;
  /** Size of the message's JSON on the bus, bytes. */
  readonly bytes: number;
}

/** The sole right to take messages from one chain of an inbox. It ends with `release` or with the process. */
export interface Lease {
  /**
   * The oldest unacknowledged messages, oldest first: at most `max` of them and about `bytesMax` bytes (at least one if
   * there is one). Marks each as attempted. They stay on the bus until `ack`.
   */
  read(max: number, bytesMax?: number): Delivery[];
  /** Removes the `count` oldest messages: they have really been handed over. */
  ack(count: number): void;
  /** `ack(count)` and then `read(max, bytesMax)`, at one take of the lock: for whoever reads on. */
  ackAndRead(count: number, max: number, bytesMax?: number): Delivery[];
  depth(): number;
  release(): void;
}

/** A FIFO of this process that senders ring. Correctness never rests on it: look every `limits.pollMs` as well. */
export interface Bell {
  /** Senders to (`id`, `chain`) ring this bell from now on. Arm first, look second, wait third: nothing is missed. */
  arm(id: string, chain: Chain): void;
  disarm(id: string, chain: Chain): void;
  /**
   * Blocks the whole process until rung or until `timeoutMs` has passed. The bell that rang is down: arm it again before the
   * look that the next wait follows. For one-shot commands only.
   */
  waitSync(timeoutMs: number): void;
  /** Calls `onRing` from the event loop at each ring until `close`. For hosts. */
  listen(onRing: () => void): void;
  close(): void;
}

export interface Swept {
  /** Ids whose host had died; those with unread messages keep their inbox, the others are gone. */
  readonly agents: string[];
  readonly bells: number;
  readonly blobs: number;
  /** Places that were ever found damaged on this bus: what was accepted there may be lost. */
  readonly damaged: number;
}

/** A bus whose inboxes have been closed. */
export interface Closed {
  /** Data messages that it has ever accepted. On a damaged bus it may be a few less: those in the damage. */
  readonly accepted: number;
  /** Whose data inbox holds messages. */
  readonly unread: readonly string[];
}

/** Times that this process found a shard's lock taken, how long it waited for it in all, and the longest of these waits. */
export interface LockWaits {
  readonly lockWaits: number;
  readonly lockWaitMs: number;
  readonly lockWaitMostMs: number;
}

/** What has happened on a bus since it was made, and how it stands. */
export interface BusStats extends LockWaits {
  /** Attempts to send that were refused, of all processes: one that is repeated counts again. */
  readonly refusedInboxFull: number;
  readonly refusedBusFull: number;
  readonly refusedRate: number;
  readonly accepted: number;
  /** Messages accepted and not yet acknowledged, data and control, in all inboxes. */
  readonly depth: number;
  /** The inbox that is nearest to its bound of messages; undefined where all are empty. */
  readonly deepest: { readonly id: string; readonly depth: number; readonly limit: number } | undefined;
}

/** How an inbox's data is being read. */
export interface Reading {
  /** Somebody holds the lease. */
  readonly leased: boolean;
  /** Rises with each message that is taken. */
  readonly taken: number;
}

/** How full a chain of an inbox is, as seen without the lock. */
export interface Room {
  /** Messages that it would take, of `limit`; by their bytes it may be full before. */
  readonly free: number;
  readonly limit: number;
  /** Rises with each message that is taken, and begins again after 2^32. */
  readonly taken: number;
}

export interface BusInfo {
  readonly dir: string;
  readonly shards: number;
  readonly segmentBytes: number;
  readonly inboxMessages: number;
  readonly inboxBytes: number;
  readonly busBytes: number;
}

/**
 * A bus that is open in this process. All calls are synchronous and none waits for space; only the shard lock is waited
 * for, at most `limits.lockWaitMs`, after which they throw CfnError("try_again"). Not to be used after `close`.
 */
export interface Bus {
  readonly info: BusInfo;
  /** One attempt. Ids in the draft must be valid (`isAgentId`), the payload within `limits.payloadBytes`: asserted. */
  send(draft: Draft): Sent;
  /**
   * Each shard's lock is taken once. Outcomes in the order of the drafts; per recipient, after the first refusal all are refused. Throws
   * only where none was accepted: what a shard that cannot be used does not take is refused as `full` where another has taken some.
   */
  sendBatch(drafts: readonly Draft[]): Sent[];
  /**
   * From now on each sender may send so many data messages a second, and one second's worth at once; 0 for no limit. To be said
   * again each `limits.pacingMs`: it lapses after `limits.pacingFreshMs`. Where there is no space to keep count there is no limit.
   */
  permit(perSecond: number): void;
  register(who: Registration): Registered;
  /** The same for many: each shard's lock is taken once. Outcomes in the order given; a refusal does not undo the others. */
  registerAll(all: readonly Registration[]): Registered[];
  /** Ends this process's hosting. An inbox with unread messages stays until somebody reads it; returns how many those are. */
  unregister(id: string): number;
  /** Undefined while another process holds the lease. Throws not_found if the id is not registered. */
  lease(id: string, chain: Chain): Lease | undefined;
  /** How often the id has been taken up or superseded: the epoch of who holds it now. 0 if it is not registered. */
  incarnation(id: string): number;
  /** Raises the incarnation, so that whoever hosts the id learns that it is no longer meant. Returns the new one, 0 if unknown. */
  supersede(id: string): number;
  /** `lease` of each of these, undefined also where an id is not registered; each shard's lock is taken once. */
  leaseAll(ids: readonly string[], chain: Chain): (Lease | undefined)[];
  /**
   * `ack` of each of these leases, which this bus has given; each shard's lock is taken once. The places of those for which that cannot be
   * just now, which are to be acknowledged again.
   */
  ackAll(leases: readonly Lease[], counts: readonly number[]): readonly number[];
  /** `read(max)` of each of these leases, which this bus has given; each shard's lock is taken once. */
  readAll(leases: readonly Lease[], max: number): Delivery[][];
  /** Copies of the oldest messages; nothing is marked or taken. */
  peek(id: string, chain: Chain, max: number): Message[];
  depth(id: string, chain: Chain): number;
  /** Undefined if the id is not registered. */
  room(id: string, chain: Chain): Room | undefined;
  has(id: string): boolean;
  /**
   * From now on data messages of everybody but this process are refused (`closed`): what has been accepted by now is all there
   * will be. May be called again.
   */
  closeInboxes(): Closed;
  /** Whether a living process other than this one hosts the id. */
  isServed(id: string): boolean;
  /** Undefined if the id is not registered. */
  reading(id: string): Reading | undefined;
  /** All that are registered, every seal of the index checked under the locks. */
  agents(): AgentEntry[];
  /**
   * The same for whoever looks on again and again: mostly without a lock, each entry of some moment, all of about the same. Every
   * seal is checked each `limits.onlookerAuditMs`, where that keeps nobody waiting.
   */
  agentsSeen(): AgentEntry[];
  bell(): Bell;
  /** Removes what dead processes left: hosts, bells, blobs that no message names. */
  sweep(): Swept;
  /**
   * In how many places this bus was ever found damaged and mended: a look at the memory of the shards that are open here, or
   * of all. What was damaged is kept in its files `shards/NN/damaged-*`.
   */
  damaged(everywhere?: boolean): number;
  /** Without any lock, in some ten microseconds per thousand agents: for whoever looks on each second. */
  stats(): BusStats;
  /** The part of it that costs nothing. */
  lockWaits(): LockWaits;
  /** What the bus's messages and index occupy: bytes. */
  bytes(): number;
  close(): void;
}
