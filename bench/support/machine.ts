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

/** The path of a program, sbin included; undefined if it is not installed. */
export function program(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }) ?? undefined;
}
