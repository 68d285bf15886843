/** Cutting a file. Never one that is mapped: a store beyond its end would be SIGBUS. Loads `node:fs`. */
import { ftruncateSync } from "node:fs";

export function truncateFile(fd: number, bytes: number): void {
  ftruncateSync(fd, bytes);
}
