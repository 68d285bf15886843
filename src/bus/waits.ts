/**
 * Rings: a waits for room in the inbox of b, b for room in that of a, and while they wait neither reads.
 *
 * A sender that has found an inbox full for `limits.ringAfterMs` writes down for whom it waits: `<bus>/waits/<sender>`, a
 * symbolic link whose text is its pid and start time, since when its own inbox is quiet (nobody holds the right to read it and
 * nothing was taken from it), up to which message that was taken then, and the recipients. From time to time it follows these
 * links from its recipients on. It is in a ring if they lead back to it and each one on the way is alive, and as quiet as it said,
 * and has been for `limits.ringQuietMs`.
 *
 * One of a ring must give up, so that the agent behind it reads on, and one is enough: the one with the smallest id does at
 * once, the n-th one (n - 1) times `limits.ringRankMs` later, should the others not. What it sent so far stays sent.
 *
 * Who is slow and reads is in no ring: not one who does not wait in a send, nor one who reads while another of its processes
 * waits, be it that it holds its inbox's lease or that it takes a message each `limits.ringQuietMs`. A link is only ever a
 * hint: one of a dead process is ignored, replaced by the next that waits under this id, and removed by a sweep; one that
 * cannot be written for want of space leaves the sender to its deadline. Of two processes that wait under one id the later
 * one's link stands.
 */
import { limits } from "../limits.ts";
import { systemMs } from "../os/clock.ts";
import { makeDirectory, makeSymlink, readSymlink, unlinkFile } from "../os/file.ts";
import { E } from "../os/libc.ts";
import { isAlive, ownIdentity } from "../os/process.ts";
import { listDirectory } from "../os/tree.ts";
import type { Bus } from "./contract.ts";

/** What a link says. */
export interface Wait {
  readonly pid: number;
  readonly startTicks: number;
  /** Whole milliseconds of the system's clock. */
  readonly quietSinceMs: number;
  readonly taken: number;
  readonly recipients: readonly string[];
}

const folder = (dir: string): string => `${dir}/waits`;
const linkOf = (dir: string, id: string): string => `${folder(dir)}/${id}`;

const textOf = ({ pid, startTicks, quietSinceMs, taken, recipients }: Wait): string =>
  `${pid} ${startTicks} ${quietSinceMs} ${taken} ${recipients.join(",")}`;

function parse(text: string): Wait | undefined {
  const match = /^(\d+) (\d+) (\d+) (\d+) ([a-z0-9_,-]+)$/.exec(text);
  if (match === null) return undefined;
  const [pid, startTicks, quietSinceMs, taken] = match.slice(1, 5).map(Number) as [number, number, number, number];
  return { pid, startTicks, quietSinceMs, taken, recipients: (match[5] as string).split(",") };
}

function readWait(dir: string, id: string): Wait | undefined {
  const text = readSymlink(linkOf(dir, id));
  return text === undefined ? undefined : parse(text);
}

/**
 * The shortest way from `id` back to itself, without itself at the end; undefined if there is none. `waitsFor` says for whom an
 * agent waits, and is asked about at most `limits.ringMost` of them.
 */
export function ringFrom(id: string, waitsFor: (id: string) => readonly string[]): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [id];
  for (let n = 0; n < queue.length && n < limits.ringMost; n++) {
    const one = queue[n] as string;
    for (const next of waitsFor(one)) {
      if (next === id) {
        const ring: string[] = [];
        for (let at: string | undefined = one; at !== undefined; at = cameFrom.get(at)) ring.unshift(at);
        return ring;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, one);
      queue.push(next);
    }
  }
  return undefined;
}

/** How long after a ring has been quiet long enough `id` is to give up. */
export const patienceMs = (ring: readonly string[], id: string): number =>
  ring.filter((other) => other < id).length * limits.ringRankMs;

/** A sender of this process that waits for room in inboxes. */
export class WaitingSender {
  private written = "";
  private quietSinceMs = 0;
  private taken = -1;

  constructor(
    private readonly bus: Bus,
    private readonly id: string,
  ) {}

  /** The ring that it is to break by giving up, itself first; undefined while there is none. Call it now and then. */
  look(recipients: readonly string[]): string[] | undefined {
    const reading = this.bus.reading(this.id);
    // For one that has no inbox nobody waits.
    if (reading === undefined) return undefined;
    const nowMs = Math.floor(systemMs());
    if (reading.leased || reading.taken !== this.taken) {
      this.taken = reading.taken;
      this.quietSinceMs = nowMs;
    }
    const { quietSinceMs, taken } = this;
    const named = recipients.slice(0, limits.ringRecipients);
    this.write(textOf({ ...ownIdentity(), quietSinceMs, taken, recipients: named }));
    const quietSince = new Map([[this.id, quietSinceMs]]);
    const ring = ringFrom(this.id, (id) => {
      if (id === this.id) return named;
      const wait = this.quietWait(id, nowMs);
      if (wait === undefined) return [];
      quietSince.set(id, wait.quietSinceMs);
      return wait.recipients;
    });
    if (ring === undefined) return undefined;
    const youngestMs = Math.max(...ring.map((id) => quietSince.get(id) as number));
    return nowMs - youngestMs < limits.ringQuietMs + patienceMs(ring, this.id) ? undefined : ring;
  }

  /** It waits no longer. */
  end(): void {
    if (this.written === "") return;
    const link = linkOf(this.bus.info.dir, this.id);
    // Another process that waits under this id may have replaced it.
    if (readSymlink(link) === this.written) unlinkFile(link);
    this.written = "";
  }

  /** What an agent waits for, if it is alive and has not read since it said so. */
  private quietWait(id: string, nowMs: number): Wait | undefined {
    const { bus } = this;
    const wait = readWait(bus.info.dir, id);
    if (wait === undefined || nowMs - wait.quietSinceMs < limits.ringQuietMs || !isAlive(wait)) return undefined;
    const reading = bus.reading(id);
    return reading === undefined || reading.leased || reading.taken !== wait.taken ? undefined : wait;
  }

  private write(text: string): void {
    const { dir } = this.bus.info;
    const link = linkOf(dir, this.id);
    if (text === this.written && readSymlink(link) === text) return;
    unlinkFile(link);
    globalThis.crashPoint?.("wait.begun");
    let made = makeSymlink(text, link);
    if (made === -E.NOENT && makeDirectory(folder(dir)) === 0) made = makeSymlink(text, link);
    globalThis.crashPoint?.("wait.written");
    this.written = made === 0 ? text : "";
  }
}

/** Removes what senders that died while they waited left. */
export function sweepWaits(dir: string): void {
  for (const id of listDirectory(folder(dir))) {
    const wait = readWait(dir, id);
    if (wait === undefined || !isAlive(wait)) unlinkFile(linkOf(dir, id));
  }
}
