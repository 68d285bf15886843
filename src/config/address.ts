/** Addresses to listen on. Pure. */

export interface Address {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

const FORM = /^(?:(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):)?([0-9]{1,5})$/;
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1)$/;

/** Undefined where the text is none. An IPv6 host stands in brackets, and is given without them. */
export function addressOf(text: string): Address | undefined {
  const [, host = "127.0.0.1", digits] = FORM.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  return port <= 65535 ? { host: host.replace(/^\[(.*)\]$/, "$1"), port } : undefined;
}

/** Whether only this machine reaches it. */
export const isLoopback = ({ host }: Address): boolean => LOOPBACK.test(host);
