/** Splits a stream of bytes into lines and JSON values, holding at most one of them. Pure. */
import { CfnError } from "../errors.ts";
import { formatBytes } from "../message/quantity.ts";

const NEWLINE = 10;

/** A piece of the input: its text, and the line it begins on, from 1. */
export interface Piece {
  readonly text: string;
  readonly line: number;
}

export interface Splitter {
  /** The next whole piece of what was pushed; undefined where more bytes are needed. Throws CfnError("malformed"). */
  next(): Piece | undefined;
  /** Copies nothing: `bytes` must stay as they are until `next` returned undefined. */
  push(bytes: Uint8Array): void;
  /** No more bytes will come: what is left over is the last piece, or is malformed. */
  end(): void;
}

/** Keeps what no piece has taken yet in one buffer. */
class Rest {
  bytes = new Uint8Array(0);
  at = 0;

  push(more: Uint8Array): void {
    const left = this.bytes.length - this.at;
    if (left === 0) this.bytes = more as Uint8Array<ArrayBuffer>;
    else {
      const joined = new Uint8Array(left + more.length);
      joined.set(this.bytes.subarray(this.at));
      joined.set(more, left);
      this.bytes = joined;
    }
    this.at = 0;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

export function decodePiece(bytes: Uint8Array, line: number, what: string): Piece {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new CfnError("malformed", `${what} line ${line} has a NUL byte at column ${nul + 1}`, "remove it");
  }
  try {
    return { text: decoder.decode(bytes), line };
  } catch {
    throw new CfnError("malformed", `${what} line ${line} is not valid UTF-8`, "convert it to UTF-8");
  }
}

function tooLong(what: string, line: number, most: number): CfnError {
  return new CfnError(
    "malformed",
    `${what} line ${line} is longer than ${formatBytes(most)}`,
    "put large data into a file and name the file",
  );
}

/** One piece per line, without its newline; a last line needs none. Blank lines are left out but counted. */
export class LineSplitter implements Splitter {
  private readonly rest = new Rest();
  private line = 0;
  private ended = false;
  /** Where the search for a newline goes on: what lies before has none. */
  private searched = 0;

  constructor(
    private readonly what: string,
    private readonly most: number,
  ) {}

  push(bytes: Uint8Array): void {
    this.searched = this.rest.bytes.length - this.rest.at;
    this.rest.push(bytes);
  }

  end(): void {
    this.ended = true;
  }

  next(): Piece | undefined {
    const { rest } = this;
    for (;;) {
      let end = rest.bytes.indexOf(NEWLINE, rest.at + this.searched);
      if (end < 0) {
        if (rest.bytes.length - rest.at > this.most) throw tooLong(this.what, this.line + 1, this.most);
        if (!this.ended || rest.at === rest.bytes.length) return undefined;
        end = rest.bytes.length;
      }
      this.searched = 0;
      this.line++;
      if (end - rest.at > this.most) throw tooLong(this.what, this.line, this.most);
      const bytes = rest.bytes.subarray(rest.at, end);
      rest.at = Math.min(end + 1, rest.bytes.length);
      const piece = decodePiece(bytes, this.line, this.what);
      if (piece.text.trim() !== "") return piece;
    }
  }
}

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPENERS = [91, 123];
const CLOSERS = [93, 125];
const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** One piece per element of the one JSON array that the input is; or the input itself, if it is one JSON object. */
export class ArraySplitter implements Splitter {
  private readonly rest = new Rest();
  private line = 1;
  private pieceLine = 1;
  private ended = false;
  private state: "before" | "inside" | "object" | "after" = "before";
  /** Where the scan goes on, and what it knows. */
  private pending = 0;
  private depth = 0;
  private inString = false;
  private escaped = false;
  private elements = 0;

  constructor(
    private readonly what: string,
    private readonly most: number,
  ) {}

  push(bytes: Uint8Array): void {
    this.pending = this.rest.bytes.length - this.rest.at;
    this.rest.push(bytes);
  }

  end(): void {
    this.ended = true;
  }

  next(): Piece | undefined {
    const { rest } = this;
    for (; this.pending < rest.bytes.length; this.pending++) {
      const byte = rest.bytes[this.pending] as number;
      if (byte === NEWLINE) this.line++;
      const piece = this.step(byte);
      if (piece !== undefined) {
        this.pending++;
        return piece;
      }
      if (this.pending - rest.at > this.most) throw tooLong(this.what, this.pieceLine, this.most);
    }
    if (this.ended && this.state !== "after") {
      if (this.state === "before") return undefined;
      throw new CfnError(
        "malformed",
        `${this.what} ends inside its JSON on line ${this.line}`,
        "is the file complete?",
      );
    }
    return undefined;
  }

  private step(byte: number): Piece | undefined {
    const { rest } = this;
    if (this.inString) {
      if (this.escaped) this.escaped = false;
      else if (byte === BACKSLASH) this.escaped = true;
      else if (byte === QUOTE) this.inString = false;
      return undefined;
    }
    if (this.state === "before" || this.state === "after") {
      if (isSpace(byte) || (this.state === "before" && [0xef, 0xbb, 0xbf].includes(byte))) return undefined;
      if (this.state === "before" && OPENERS.includes(byte)) {
        this.state = byte === 91 ? "inside" : "object";
        rest.at = byte === 91 ? this.pending + 1 : this.pending;
        this.depth = byte === 91 ? 0 : 1;
        this.pieceLine = this.line;
        return undefined;
      }
      const problem = this.state === "before" ? "does not begin with [ or {" : "goes on after its JSON";
      throw new CfnError(
        "malformed",
        `${this.what} ${problem} on line ${this.line}`,
        "name a file of JSON lines .jsonl",
      );
    }
    if (byte === QUOTE) this.inString = true;
    else if (OPENERS.includes(byte)) this.depth++;
    else if (CLOSERS.includes(byte) && this.depth > 0) {
      this.depth--;
      if (this.depth === 0 && this.state === "object") return this.cut(this.pending + 1, "after");
    } else if (this.depth === 0 && (byte === COMMA || byte === 93)) {
      return this.cut(this.pending, byte === COMMA ? "inside" : "after");
    }
    return undefined;
  }

  private cut(end: number, state: "inside" | "after"): Piece | undefined {
    const { rest } = this;
    const { text } = decodePiece(rest.bytes.subarray(rest.at, end), this.pieceLine, this.what);
    rest.at = this.pending + 1;
    this.state = state;
    const line = this.pieceLine;
    this.pieceLine = this.line;
    if (text.trim() === "") {
      if (state === "after" && this.elements === 0) return undefined;
      throw new CfnError("malformed", `${this.what} has an empty element on line ${line}`, "remove the extra comma");
    }
    this.elements++;
    return { text, line };
  }
}
