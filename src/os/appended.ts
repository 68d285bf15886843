/** A file that is appended to in whole pieces, or not at all. */
import { CfnError } from "../errors.ts";
import { closeFile, fileSize, O, openFile, writeAll } from "./file.ts";
import { errorText } from "./libc.ts";
import { truncateFile } from "./truncate.ts";

export class AppendedFile {
  readonly fd: number;
  /** What it holds: bytes. */
  length: number;

  /** Made where it is not there. Throws CfnError cannot_create. */
  constructor(readonly path: string) {
    this.fd = openFile(path, O.RDWR | O.CREAT | O.APPEND | O.NOFOLLOW, 0o600);
    if (this.fd < 0) throw new CfnError("cannot_create", `cannot use ${path}: ${errorText(-this.fd)}`);
    this.length = fileSize(this.fd);
  }

  /** Why it could not; undefined if it could. */
  append(bytes: Uint8Array): string | undefined {
    const wrote = writeAll(this.fd, bytes);
    if (wrote === 0) {
      this.length += bytes.length;
      return undefined;
    }
    try {
      this.cut(this.length);
    } catch {
      // A half line at the end is no line: whoever appends next cuts it off.
    }
    return `${this.path}: ${errorText(-wrote)}`;
  }

  /** Keeps the first `bytes` of it. Throws the system's error. */
  cut(bytes: number): void {
    truncateFile(this.fd, bytes);
    this.length = bytes;
  }

  close(): void {
    closeFile(this.fd);
  }
}
