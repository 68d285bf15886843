/** Where the endpoint may listen, as people write it. Pure. */
import type { Address } from "./http.ts";

export const addressForm = "PORT, HOST:PORT with an IP address or localhost, [IPv6]:PORT, or unix:PATH";

const BYTE = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const IPV6 = /^(?=.*:)[0-9a-f:]{2,39}$/;

/** Names are not resolved: what is listened on stands on the command line. Undefined where the text is no address. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    // As long as the kernel takes.
    return path === "" || path.includes("\0") || path.length > 107 ? undefined : { kind: "unix", path };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]:|([^:]*):)?([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  const host = bracketed ?? (plain === "localhost" ? "127.0.0.1" : plain) ?? "127.0.0.1";
  const known = bracketed === undefined ? IPV4.test(host) : IPV6.test(host);
  return known ? { kind: "tcp", host, port } : undefined;
}

export const isLoopback = (host: string): boolean => host === "::1" || (IPV4.test(host) && host.startsWith("127."));
