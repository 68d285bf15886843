/** stdout and stderr of the run: bytes are gathered and written in large pieces, without stopping the event loop. */
import { writeWhole } from "../os/stream.ts";
import { joinBytes } from "./tagging.ts";

const GATHER_BYTES = 256 * 1024;

export class Sink {
  private parts: Uint8Array[] = [];
  private bytes = 0;
  /** Bytes that have been taken. */
  written = 0;
  /** One write at a time: two at once could mix. */
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly fd: number) {}

  /** `bytes` must not change afterwards. Rejects where nobody reads any more (`EPIPE`) or the disk is full. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    this.parts.push(bytes);
    this.bytes += bytes.length;
    return this.bytes >= GATHER_BYTES ? this.flush() : undefined;
  }

  flush(): Promise<void> {
    if (this.bytes === 0) return this.writing;
    const gathered = this.parts.length === 1 ? (this.parts[0] as Uint8Array) : joinBytes(this.parts);
    this.parts = [];
    this.bytes = 0;
    this.writing = this.writing.then(async () => {
      await writeWhole(this.fd, gathered);
      this.written += gathered.length;
    });
    return this.writing;
  }
}
