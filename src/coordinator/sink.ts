/** stdout and stderr of the run: bytes are gathered and written in large pieces, without stopping the event loop. */
import { writeWhole } from "../os/stream.ts";
import { joinBytes } from "./tagging.ts";

const GATHER_BYTES = 256 * 1024;

export class Sink {
  private parts: Uint8Array[] = [];
  private bytes = 0;

  constructor(private readonly fd: number) {}

  /** `bytes` must not change afterwards. Rejects where nobody reads any more (`EPIPE`) or the disk is full. */
  async write(bytes: Uint8Array): Promise<void> {
    this.parts.push(bytes);
    this.bytes += bytes.length;
    if (this.bytes >= GATHER_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.bytes === 0) return;
    const gathered = this.parts.length === 1 ? (this.parts[0] as Uint8Array) : joinBytes(this.parts);
    this.parts = [];
    this.bytes = 0;
    await writeWhole(this.fd, gathered);
  }
}
