import { libc, pointerTo } from "./libc.ts";

const TCGETS = 0x5401;
const settings = new Uint8Array(64);

/** Whether a person may be looking at this descriptor. */
export function isTerminal(fd: number): boolean {
  return libc.ioctl(fd, TCGETS, pointerTo(settings)) === 0;
}
