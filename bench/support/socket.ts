/**
 * A blocking socket by system call: the leanest client that JavaScript can have. An event loop would add its own tens of
 * microseconds to every acknowledged message of Redis and NATS, and make the bus look better than it is.
 */
import { E, errno, openLibc, pointerTo, types } from "../../src/os/libc.ts";

const { i32, i64, ptr, u64 } = types;
const net = openLibc({
  socket: { args: [i32, i32, i32], returns: i32 },
  connect: { args: [i32, ptr, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, ptr, i32], returns: i32 },
  send: { args: [i32, ptr, u64, i32], returns: i64 },
  recv: { args: [i32, ptr, u64, i32], returns: i64 },
  close: { args: [i32], returns: i32 },
});

const AF_UNIX = 1;
const AF_INET = 2;
const STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const NO_SIGPIPE = 0x4000;
/** A server that is silent for this long has lost something: better an error than a benchmark that hangs. */
const silenceSeconds = 60n;

function unixAddress(path: string): Uint8Array {
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(new TextEncoder().encode(path), 2);
  return address;
}

function loopbackAddress(port: number): Uint8Array {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set([127, 0, 0, 1], 4);
  return address;
}

export class BlockingSocket {
  readonly #fd: number;
  #buffer = new Uint8Array(256 * 1024);
  #start = 0;
  #end = 0;

  /** Connects to a unix socket's path or a port of 127.0.0.1. Throws if nobody listens. */
  constructor(readonly peer: string | number) {
    const unix = typeof peer === "string";
    const address = unix ? unixAddress(peer) : loopbackAddress(peer);
    this.#fd = net.socket(unix ? AF_UNIX : AF_INET, STREAM, 0);
    if (!unix) net.setsockopt(this.#fd, IPPROTO_TCP, TCP_NODELAY, pointerTo(new Int32Array([1])), 4);
    net.setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, pointerTo(new BigInt64Array([silenceSeconds, 0n])), 16);
    if (net.connect(this.#fd, pointerTo(address), address.length) === 0) return;
    const error = errno();
    net.close(this.#fd);
    throw new Error(`cannot connect to ${peer}: error ${error}`);
  }

  send(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const sent = net.send(this.#fd, pointerTo(rest), rest.length, NO_SIGPIPE);
      if (sent < 0 && errno() !== E.INTR) throw new Error(`${this.peer}: send failed, error ${errno()}`);
      if (sent > 0) done += sent;
    }
  }

  /** The next line without its CR LF, as a view that the next call may overwrite. Blocks. */
  line(): Uint8Array {
    for (let from = this.#start; ; ) {
      const at = this.#buffer.subarray(0, this.#end).indexOf(10, from);
      if (at >= 0) {
        const line = this.#buffer.subarray(this.#start, at - 1);
        this.#start = at + 1;
        return line;
      }
      from = this.#end - this.#start;
      this.#fill();
      from += this.#start;
    }
  }

  /** The next `length` bytes, as a view that the next call may overwrite. Blocks. */
  take(length: number): Uint8Array {
    while (this.#end - this.#start < length) this.#fill();
    this.#start += length;
    return this.#buffer.subarray(this.#start - length, this.#start);
  }

  #fill(): void {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const free = this.#buffer.subarray(this.#end);
    const got = net.recv(this.#fd, pointerTo(free), free.length, 0);
    if (got > 0) this.#end += got;
    else if (got === 0) throw new Error(`${this.peer}: the server closed the connection`);
    else if (errno() !== E.INTR) throw new Error(`${this.peer}: receive failed, error ${errno()}`);
  }

  close(): void {
    net.close(this.#fd);
  }
}
