/**
 * Whom the endpoint answers. Pure.
 *
 * A page in a browser can make requests to loopback in the name of whoever visits it, and by a DNS name that suddenly points here
 * even read the answers; but it cannot choose the Host header. So that must name what is listened on. Beyond loopback a
 * token is needed, which no page knows either.
 */

import { isLoopback } from "../os/address.ts";
import type { Address, HttpResponse } from "../os/http.ts";
import type { RequestHead } from "../os/httphead.ts";

export interface Guard {
  readonly address: Address;
  /** The one that is really listened on, where 0 was asked for. */
  readonly port: number;
  readonly token: string | undefined;
}

/** The refusal; undefined for a request that may be answered. */
export function refused({ address, port, token }: Guard, { method, headers }: RequestHead): HttpResponse | undefined {
  if (address.kind === "tcp" && !namesUs(address.host, port, headers.get("host") ?? "")) {
    return plain(421, "the Host header names another server");
  }
  if (token !== undefined && !sameSecret(headers.get("authorization") ?? "", `Bearer ${token}`)) {
    return plain(401, "a token is needed: Authorization: Bearer …", { "www-authenticate": 'Bearer realm="cfn"' });
  }
  if (method === "GET" || method === "HEAD") return undefined;
  return plain(405, "this endpoint is read-only", { allow: "GET, HEAD" });
}

/** The text ends the line. */
export const plain = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): HttpResponse => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${text}\n`,
  headers,
});

const WILDCARDS = ["0.0.0.0", "::"];

function namesUs(listening: string, port: number, host: string): boolean {
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(host.toLowerCase()) ?? [];
  const given = bracketed ?? name;
  if (given === undefined || Number(digits ?? 80) !== port) return false;
  if (given === listening || given === "localhost" || isLoopback(given)) return true;
  // It has every name that others have given this machine, none of which is known here; its token protects it.
  return WILDCARDS.includes(listening);
}

/** Takes as long for a near miss as for a far one. */
function sameSecret(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => new Bun.CryptoHasher("sha256").update(text).digest());
  return (
    (a as Uint8Array).reduce((difference, byte, n) => difference | (byte ^ ((b as Uint8Array)[n] as number)), 0) === 0
  );
}
