/** What this process uses. */
import { readText } from "./file.ts";
import { listDirectory } from "./tree.ts";

/** The largest resident set so far, bytes; 0 where /proc does not say. */
export function peakRssBytes(): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readText("/proc/self/status") ?? "");
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** The resident set now, bytes. */
export function rssBytes(): number {
  return process.memoryUsage.rss();
}

/** What this process has used since its start, user and system: milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export function openDescriptors(): number {
  return listDirectory("/proc/self/fd").length;
}

/** Processors that this process may use. */
export function coreCount(): number {
  return Math.max(1, navigator.hardwareConcurrency);
}
