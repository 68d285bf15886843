/** Puts a tag and a TAB before each line of one stream that comes in pieces. Pure. */
const NEWLINE = 10;
const encoder = new TextEncoder();

export class LineTagger {
  private readonly prefix: Uint8Array;
  private atStart = true;

  /** Newlines and TABs inside the tag become spaces: a line stays a line. */
  constructor(tag: string) {
    this.prefix = encoder.encode(`${tag.replace(/[\n\r\t]/g, " ")}\t`);
  }

  tagged(bytes: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.atStart) parts.push(this.prefix);
      const end = bytes.indexOf(NEWLINE, at);
      const next = end < 0 ? bytes.length : end + 1;
      parts.push(bytes.subarray(at, next));
      this.atStart = end >= 0;
      at = next;
    }
    return joinBytes(parts);
  }
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
