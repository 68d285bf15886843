/** What the figures were taken on, and which other programs are there to compare with. */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly kernel: string;
  readonly bun: string;
  /** Of the last minute, when the benchmark began: above 0.5 on an idle machine's figures, distrust them. */
  readonly load_before: number;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || "unknown",
    cores: navigator.hardwareConcurrency,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    bun: Bun.version,
    load_before: Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]),
  };
}

/** Clock ticks that this machine's processors have worked since it started, and those in which it wanted to and its host did not let it. */
interface Ticks {
  readonly worked: number;
  readonly stolen: number;
}

export function ticks(): Ticks {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)
    .join("")
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { worked: user + nice + system + irq + softirq, stolen };
}

/** Of the processor time that was wanted since then: the share, 0 to 1, that a virtual machine's host gave to others. */
export function stolenSince(then: Ticks): number {
  const now = ticks();
  const stolen = now.stolen - then.stolen;
  const share = stolen / Math.max(1, stolen + now.worked - then.worked);
  return Math.round(share * 1000) / 1000;
}

/** The path of a program, sbin included; undefined if it is not installed. */
export function program(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }) ?? undefined;
}
