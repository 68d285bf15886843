/** Taking letters: written down first, acknowledged then. */
import type { Bus, Delivery, Lease } from "../bus/contract.ts";
import { EvidenceFile, evidencePaths } from "./evidence.ts";
import { readLetter } from "./letter.ts";

const BATCH = 64;

/** One inbox of the ledger, held by this process. */
export class Reader {
  private lease: Lease | undefined;
  private readonly file: EvidenceFile;

  constructor(
    private readonly bus: Bus,
    readonly id: string,
    dir: string,
    /** Called between writing down and acknowledging: the moment at which a death costs a message to be handed over again. */
    private readonly beforeAck: () => void = () => undefined,
  ) {
    this.file = new EvidenceFile(evidencePaths.inbox(dir, id));
  }

  /** Takes what is there, at most `most` messages; returns how many. 0 too while another process holds the inbox. */
  take(most: number): number {
    this.lease ??= this.bus.lease(this.id, "data");
    let taken = 0;
    while (this.lease !== undefined && taken < most) {
      const deliveries = this.lease.read(BATCH);
      if (deliveries.length === 0) break;
      this.file.append(deliveries.map((delivery) => this.line(delivery)));
      this.beforeAck();
      this.lease.ack(deliveries.length);
      taken += deliveries.length;
    }
    return taken;
  }

  close(): void {
    this.lease?.release();
    this.lease = undefined;
    this.file.close();
  }

  private line({ message }: Delivery): (string | number)[] {
    const { from, generation, n, whole } = readLetter(message, this.id);
    const { sequence, attempt = 1, msg_id } = message;
    return ["got", from, generation, n, sequence, attempt, msg_id, whole ? "whole" : "torn"];
  }
}
