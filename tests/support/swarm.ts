/** A run of `cfn run` in a test: its own bus base and directory for files, and the proof that no process is left. */
import { expect } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { RunReport } from "../../src/coordinator/report.ts";
import {
  type CommandOptions,
  type CommandOutcome,
  cfnBinary,
  type RunningCommand,
  runCommand,
  startCfn,
} from "./binary.ts";
import { withBusBase } from "./bus.ts";

export interface Swarm {
  readonly cfn: string;
  /** What its commands find in their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where the buses of its runs are. */
  readonly base: string;
  /** A directory for the test's files. */
  readonly directory: string;
  /** Runs `cfn run --report … ARGS` to its end. */
  run(args: readonly string[], options?: CommandOptions): Promise<CommandOutcome>;
  start(args: readonly string[], options?: CommandOptions): RunningCommand;
  /** Runs `cfn run --resume[=RUN]`. */
  resume(run?: string, options?: CommandOptions): RunningCommand;
  /** Runs a shell script in which `$0` is cfn. */
  shell(script: string, options?: CommandOptions): Promise<CommandOutcome>;
  /** Of the last run that has ended. */
  report(): RunReport;
  /** Pids of the processes that carry this test's mark in their environment. */
  processes(): number[];
}

let made = 0;

function marked(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(mark);
      } catch {
        return false; // It has ended, or is not ours.
      }
    })
    .map(Number);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function withSwarm(use: (swarm: Swarm) => Promise<void>): Promise<void> {
  return withBusBase(async (base) => {
    const directory = mkdtempSync(`${tmpdir()}/cfn-swarm-`);
    const mark = `CFN_TEST_MARK=${process.pid}-${++made}-${directory}`;
    const own = {
      CFN_MESSAGE_BASE_DIR: base,
      CFN_TEST_MARK: mark.slice(mark.indexOf("=") + 1),
      TMPDIR: directory,
      XDG_STATE_HOME: `${directory}/state`,
    };
    const withOwn = (options: CommandOptions = {}): CommandOptions => ({ ...options, env: { ...own, ...options.env } });
    const start = (args: readonly string[], options?: CommandOptions): RunningCommand =>
      startCfn(["run", "--report", `${directory}/report.json`, ...args], withOwn(options));
    try {
      await use({
        cfn: cfnBinary,
        env: own,
        base,
        directory,
        start,
        resume: (run, options) =>
          startCfn(["run", run === undefined ? "--resume" : `--resume=${run}`], withOwn(options)),
        run: (args, options) => start(args, options).outcome,
        shell: (script, options) => runCommand(["sh", "-c", script, cfnBinary], withOwn(options)),
        report: () => JSON.parse(readFileSync(`${directory}/report.json`, "utf8")) as RunReport,
        processes: () => marked(mark),
      });
      expect(marked(mark), "processes left behind").toEqual([]);
    } finally {
      // Of a test that failed: what it started would otherwise wait for it for ever.
      for (const pid of marked(mark)) endProcess(pid);
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** Resolves when `holds` does; fails after ten seconds, or so many. */
export async function until(what: string, holds: () => boolean, seconds = 10): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not within ${seconds} seconds: ${what}`);
    await Bun.sleep(10);
  }
}

export const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");
