/**
 * A read-only HTTP/1.1 server that cannot be held up: one request a connection, a bound on the bytes of its head, on the time
 * that request and response may take however slowly they trickle, and on the connections at once, each of which costs this process
 * a descriptor. `Bun.serve` knows no bound on connections and does not show them, hence `Bun.listen`.
 */
import { CfnError } from "../errors.ts";
import { type RequestHead, readHead } from "./httphead.ts";

/** Where to listen. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface HttpResponse {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpLimits {
  readonly headBytes: number;
  readonly connections: number;
  /** From the connection to the last byte of the response. */
  readonly requestMs: number;
}

export interface HttpListener {
  /** The one chosen where port 0 was asked for; 0 of a Unix socket. */
  readonly port: number;
  close(): void;
}

interface Connection {
  received: Uint8Array;
  answered: boolean;
  /** What the kernel has not taken yet. */
  unsent: Uint8Array;
  timer: ReturnType<typeof setTimeout> | undefined;
}

type Socket = Bun.Socket<Connection>;

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

const encoder = new TextEncoder();

function encoded({ status, type, body, headers = {} }: HttpResponse, withBody: boolean): Uint8Array {
  const bytes = encoder.encode(body);
  const all = {
    "content-type": type,
    "content-length": String(bytes.length),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = encoder.encode(`HTTP/1.1 ${status} ${reasons[status] ?? ""}\r\n${lines.join("")}\r\n`);
  return withBody ? joined(head, bytes) : head;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

const refusal = (status: number): HttpResponse => ({ status, type: "text/plain", body: `${reasons[status]}\n` });

/**
 * Listens until `close`, on nothing that somebody else listens on: CfnError("unavailable"). `answer` decides on each request;
 * where it throws, the answer is 500 and `onError` hears of it.
 */
export function listenHttp(
  address: Address,
  limits: HttpLimits,
  answer: (request: RequestHead) => Promise<HttpResponse>,
  onError: (error: unknown) => void,
): HttpListener {
  const open = new Set<Socket>();

  const flush = (socket: Socket): void => {
    const { data } = socket;
    const wrote = socket.write(data.unsent);
    // What is closed takes nothing any more: `close` follows.
    if (wrote < 0) return;
    data.unsent = data.unsent.subarray(wrote);
    // Only this half: an end at once would cut off a response whose request is still coming.
    if (data.unsent.length === 0) socket.shutdown();
  };

  const respond = (socket: Socket, response: HttpResponse, withBody = true): void => {
    if (!open.has(socket)) return;
    socket.data.unsent = encoded(response, withBody);
    flush(socket);
  };

  const take = (socket: Socket, bytes: Uint8Array): void => {
    const { data } = socket;
    if (data.answered) return;
    data.received = joined(data.received, bytes.subarray(0, limits.headBytes));
    const head = readHead(data.received, limits.headBytes);
    if (head === "wait") return;
    data.answered = true;
    data.received = new Uint8Array(0);
    if (typeof head === "number") {
      respond(socket, refusal(head));
      return;
    }
    answer(head).then(
      (response) => respond(socket, response, head.method !== "HEAD"),
      (error: unknown) => {
        onError(error);
        respond(socket, refusal(500));
      },
    );
  };

  const expire = (socket: Socket): void => {
    // One that has sent a part hears why; who does not read the response is cut off.
    if (socket.data.answered || socket.data.received.length === 0) socket.terminate();
    else {
      socket.data.answered = true;
      respond(socket, refusal(408));
      socket.data.timer = setTimeout(() => socket.terminate(), LINGER_MS);
    }
  };

  const handlers: Bun.SocketHandler<Connection> = {
    open(socket) {
      if (open.size >= limits.connections) {
        socket.terminate();
        return;
      }
      open.add(socket);
      const timer = setTimeout(() => expire(socket), limits.requestMs);
      socket.data = { received: new Uint8Array(0), answered: false, unsent: new Uint8Array(0), timer };
    },
    data: take,
    drain(socket) {
      if (socket.data?.unsent.length > 0) flush(socket);
    },
    close(socket) {
      open.delete(socket);
      clearTimeout(socket.data?.timer);
    },
    error(socket) {
      socket.terminate();
    },
  };

  const listener = startListening(address, handlers);
  return {
    port: "port" in listener ? listener.port : 0,
    close() {
      listener.stop(true);
      for (const socket of open) socket.terminate();
    },
  };
}

const LINGER_MS = 500;

function startListening(address: Address, socket: Bun.SocketHandler<Connection>) {
  // A Unix socket is ours alone, from its first moment.
  const mask = process.umask(0o077);
  try {
    if (address.kind === "unix") return Bun.listen<Connection>({ unix: address.path, socket });
    return Bun.listen<Connection>({ hostname: address.host, port: address.port, exclusive: true, socket });
  } catch (error) {
    const code = (error as { code?: string }).code ?? String(error);
    throw new CfnError(
      "unavailable",
      `cannot listen on ${addressText(address)}: ${said[code] ?? code}`,
      remedies[code],
    );
  } finally {
    process.umask(mask);
  }
}

const said: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied",
};
const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "choose another with --listen, or 0 for any free port; a socket file that nobody listens on may be removed",
  EACCES: "ports below 1024 are the superuser's: choose a higher one",
};

/** As a person writes it. */
export function addressText(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
