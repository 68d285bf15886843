/** The environment of children, encoded once for many spawns. */
import { pointerTo } from "./libc.ts";

/** Strings and their addresses, ready for `execve`. Keep it as long as it is in use: the addresses point into `bytes`. */
export interface EnvironmentBlock {
  /** The names and values in it. */
  readonly variables: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  /** Address of "NAME=value" by name. */
  readonly addresses: ReadonlyMap<string, number>;
  /** The same addresses one after the other, each as two 32-bit words, the low one first. */
  readonly table: Uint32Array;
}

const encoder = new TextEncoder();

/** Undefined values are left out, and so are names and values that no environment can hold (a NUL, a name with `=`). */
export function environmentBlock(variables: Readonly<Record<string, string | undefined>>): EnvironmentBlock {
  const kept: Record<string, string> = {};
  let text = "";
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || name === "" || name.includes("=") || `${name}${value}`.includes("\0")) continue;
    kept[name] = value;
    text += `${name}=${value}\0`;
  }
  const encoded = encoder.encode(`${text}\0`);
  // Of a size and place of its own: small arrays without an ArrayBuffer are moved by Bun, and their addresses with them.
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
  bytes.set(encoded);
  const base = pointerTo(bytes);
  const addresses = new Map<string, number>();
  let at = 0;
  for (const name in kept) {
    addresses.set(name, base + at);
    at = bytes.indexOf(0, at) + 1;
  }
  const table = new Uint32Array(addresses.size * 2);
  let word = 0;
  for (const address of addresses.values()) {
    table[word++] = address >>> 0;
    table[word++] = address / 0x1_0000_0000;
  }
  return { variables: kept, bytes, addresses, table };
}
