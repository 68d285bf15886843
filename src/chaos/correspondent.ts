/** A process that writes letters to all inboxes of the ledger and reads its own: what `cfn chaos` starts as a sender. */
import type { Bus } from "../bus/contract.ts";
import { CfnError } from "../errors.ts";
import type { Draft } from "../message/message.ts";
import { sleepMs } from "../os/clock.ts";
import { type Dice, dice } from "./dice.ts";
import { EvidenceFile, evidencePaths } from "./evidence.ts";
import { Reader } from "./inbox.ts";
import { letter } from "./letter.ts";

export interface CorrespondentOptions {
  readonly bus: Bus;
  readonly id: string;
  /** Counts the lives of this id, from 1. */
  readonly generation: number;
  readonly seed: number;
  /** The directory of evidence. */
  readonly dir: string;
  /** Whom it writes to. */
  readonly inboxes: readonly string[];
}

const TICK_MS = 25;
const LETTERS_MOST = 8;
/** Now and then so many at once: an inbox that is not read fills up. */
const BURST = 600;
const BURST_ONE_IN = 80;
/** Time spent, every so often, at the two moments at which a death leaves something to sort out: it is to be met there. */
const DAWDLE_MS = 40;
const DAWDLE_ONE_IN = { writing: 10, reading: 3 } as const;
/** One in so many is too large for a record and travels as a file. */
const LARGE_ONE_IN = 100;
const LARGE_BYTES = 40_000;
const TEXT_BYTES = 600;

export class Correspondent {
  private readonly chance: Dice;
  private readonly file: EvidenceFile;
  private readonly reader: Reader;
  /** By recipient: how many letters were accepted. */
  private readonly counts = new Map<string, number>();
  private stopped = false;

  /** @throws CfnError unavailable where another process has the id. */
  constructor(private readonly options: CorrespondentOptions) {
    const { bus, id, generation, seed, dir } = options;
    const registered = bus.register({ id, role: "worker" });
    if (registered.status !== "registered")
      throw new CfnError("unavailable", `cannot register ${id}: ${registered.status}`);
    this.chance = dice(seed, `${id}/${generation}`);
    this.file = new EvidenceFile(evidencePaths.sender(dir, id));
    this.reader = new Reader(bus, id, dir, () => this.dawdle("reading"));
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    while (!this.stopped) {
      this.write();
      this.reader.take(1000);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.reader.close();
    this.file.close();
  }

  stop(): void {
    this.stopped = true;
  }

  private dawdle(at: keyof typeof DAWDLE_ONE_IN): void {
    if (this.chance.below(DAWDLE_ONE_IN[at]) === 0) sleepMs(DAWDLE_MS);
  }

  /** A few letters to one recipient. What is refused is written again another time, under the same number. */
  private write(): void {
    const { bus, id, generation, inboxes } = this.options;
    const to = inboxes[this.chance.below(inboxes.length)] as string;
    const done = this.counts.get(to) ?? 0;
    const drafts: Draft[] = [];
    const count = this.chance.below(BURST_ONE_IN) === 0 ? BURST : 1 + this.chance.below(LETTERS_MOST);
    for (let n = done + count; n > done; n--) {
      const bytes = this.chance.below(LARGE_ONE_IN) === 0 ? LARGE_BYTES : this.chance.below(TEXT_BYTES);
      drafts.push(letter({ from: id, generation, n }, to, bytes));
    }
    drafts.reverse();
    this.file.append([["try", id, generation, to, done + drafts.length]]);
    const accepted: (string | number)[][] = [];
    for (const sent of bus.sendBatch(drafts)) if (sent.status === "accepted") accepted.push(["acc", sent.msgId, to]);
    this.counts.set(to, done + accepted.length);
    this.dawdle("writing");
    const refused = drafts.length - accepted.length;
    if (refused > 0) accepted.push(["refused", to, refused]);
    this.file.append(accepted);
  }
}
