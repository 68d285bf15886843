/**
 * The rate at which each sender may send data, while the machine is loaded.
 *
 * Whoever watches the load says how many messages a second are permitted, in a word of each shard's header, and says so again
 * each second: what is older than `limits.pacingFreshMs` was said by a process that has died, and is no limit. 0, the usual
 * case, costs a sender one look at memory. Control messages (tasks, results, stops) are never limited.
 *
 * Else the sender pays: `<bus>/rates` is a table of words, one for each sender by the hash of its id, and two whose ids fall
 * on one word share a rate. The word is the time, in ticks, at which what has been sent would have come at the permitted rate
 * (the generic cell rate algorithm, ITU-T I.371): a message may go while that is less than a second ahead, and moves it on by
 * one interval. It changes by compare-and-exchange, so there is no lock, and a death in between has sent nothing or paid for
 * nothing. A word further ahead than that algorithm brings it (an old one, after the clock's 32 bits have gone round, or a
 * damaged one) counts as one that is not ahead.
 */
import { limits } from "../limits.ts";
import { systemMs } from "../os/clock.ts";
import { allocateFile, closeFile, fileSize, O, openFile, renameFile, statPath, unlinkFile } from "../os/file.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";
import { randomId } from "../os/random.ts";
import type { Full } from "./contract.ts";
import { countOne } from "./counters.ts";
import { H } from "./layout.ts";
import type { Shard } from "./shard.ts";
import { hashOf } from "./slots.ts";

const SENDERS = 8192;
const TABLE_BYTES = SENDERS * 4;
const TICKS_PER_MS = 100;
/** What may be sent at once: a second's worth. */
const BURST_TICKS = 1000 * TICKS_PER_MS;

/** What follows for a sender whose word is `due`: its new one, or how long it has to wait. Times in ticks modulo 2^32. */
export function spendAt(
  due: number,
  now: number,
  perSecond: number,
): { readonly due: number } | { readonly waitTicks: number } {
  const interval = Math.ceil((1000 * TICKS_PER_MS) / perSecond);
  const said = (due - now) | 0;
  const ahead = said < 0 || said > BURST_TICKS + interval ? 0 : said;
  if (ahead > BURST_TICKS) return { waitTicks: ahead - BURST_TICKS };
  return { due: (now + ahead + interval) >>> 0 };
}

export class Rates {
  private table: Mapping | undefined;

  constructor(private readonly dir: string) {}

  /** Undefined where the message may go; it has been paid for then, whether or not there is room for it. */
  spend({ index }: Shard, from: string): Full | undefined {
    const perSecond = index.words[H.permittedPerSecond] as number;
    const nowMs = systemMs();
    const ageMs = (Math.floor(nowMs) - (index.words[H.permittedAt] as number)) >>> 0;
    if (perSecond === 0 || perSecond > limits.senderPerSecondMost || ageMs > limits.pacingFreshMs) return undefined;
    this.table ??= openTable(this.dir);
    if (this.table === undefined) return undefined;
    const { words } = this.table;
    const now = Math.floor(nowMs * TICKS_PER_MS) >>> 0;
    const at = hashOf(from) % SENDERS;
    for (;;) {
      const due = Atomics.load(words, at);
      const next = spendAt(due, now, perSecond);
      if ("waitTicks" in next) {
        countOne(index.words, H.refusedRate);
        const limit = `${perSecond} messages a second of each sender, on a loaded machine`;
        return { status: "full", what: "rate", limit, retryMs: Math.ceil(next.waitTicks / TICKS_PER_MS) };
      }
      if (Atomics.compareExchange(words, at, due, next.due) === due) return undefined;
    }
  }
}

const tablePath = (dir: string): string => `${dir}/rates`;

function openTable(dir: string): Mapping | undefined {
  const fd = openFile(tablePath(dir), O.RDWR);
  if (fd < 0) return undefined;
  const table = fileSize(fd) >= TABLE_BYTES ? mapFile(fd, TABLE_BYTES) : undefined;
  closeFile(fd);
  return table;
}

/** Makes the table whole under a hidden name. Where two do so, those who have mapped the one that is lost go on with that. */
function makeTable(dir: string): void {
  const hidden = `${dir}/.rates-${randomId()}`;
  const fd = openFile(hidden, O.RDWR | O.CREAT | O.EXCL);
  if (fd < 0) return;
  const allocated = allocateFile(fd, TABLE_BYTES);
  closeFile(fd);
  if (allocated < 0 || renameFile(hidden, tablePath(dir)) < 0) unlinkFile(hidden);
}

export function setPermitted(dir: string, shards: readonly Shard[], perSecond: number): void {
  if (perSecond > 0 && statPath(tablePath(dir)) === undefined) makeTable(dir);
  const at = Math.floor(systemMs()) >>> 0;
  for (const { index } of shards) {
    Atomics.store(index.words, H.permittedAt, at);
    Atomics.store(index.words, H.permittedPerSecond, perSecond);
  }
}
