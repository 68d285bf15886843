/** The run under test: `cfn run` as a process, started again by `--resume` when its master was killed. */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs, unixSeconds } from "../os/clock.ts";
import { descendantsOf } from "../os/descendants.ts";
import type { EnvironmentBlock } from "../os/environment.ts";
import { type Exit, watchChild } from "../os/reap.ts";
import { spawnProgram } from "../os/spawn.ts";
import { listDirectory } from "../os/tree.ts";
import { endProcesses, remaining } from "./orphans.ts";
import { identityOf, type Victim } from "./victims.ts";

export interface TrialOptions {
  readonly program: string;
  readonly environment: EnvironmentBlock;
  /** The arguments of `cfn run`. */
  readonly args: readonly string[];
  /** The directory of evidence. */
  readonly dir: string;
  /** Where the run makes its bus. */
  readonly base: string;
  readonly mark: string;
  /** Processes of ours that are not the run's. */
  readonly besides: () => readonly number[];
}

/** A master that was killed, and what followed. */
export interface MasterDeath {
  /** Until nothing of the run was left, milliseconds; at most `limits.chaosMasterGoneMs`. */
  readonly goneMs: number;
  /** Processes that were left then, and were ended. */
  readonly orphans: number;
  /** Unix seconds. */
  readonly resumedAt: number;
}

const LOOK_MS = 20;
const RETRIES = 1000;

/** The part of `cfn run`'s arguments that says how to try again: an agent that is killed costs its task an attempt. */
export const trialRetries: readonly string[] = ["--retries", String(RETRIES)];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Trial {
  runId = "";
  readonly deaths: MasterDeath[] = [];
  /** How each of its processes ended, in order. */
  readonly exits: Exit[] = [];
  /** Outlived a run that had returned. */
  orphans = 0;
  private current: Victim | undefined;
  private wasKilled = false;
  private starts = 0;
  private over: () => void = () => undefined;
  private failed: (error: unknown) => void = () => undefined;
  /** Resolves when the run has ended for good. */
  readonly ended: Promise<void>;

  constructor(private readonly options: TrialOptions) {
    this.ended = new Promise((resolve, reject) => {
      this.over = resolve;
      this.failed = reject;
    });
  }

  start(): void {
    this.launch(["run", ...this.options.args]);
  }

  /** The living master; undefined while there is none. */
  get master(): Victim | undefined {
    return this.current;
  }

  /** The bus of the run; "" while there is none. */
  get busDir(): string {
    const name = listDirectory(this.options.base).find((entry) => entry.startsWith("run-"));
    return name === undefined ? "" : `${this.options.base}/${name}`;
  }

  /** Learns the run's id from its bus. */
  look(): void {
    if (this.runId === "") this.runId = this.busDir.slice(`${this.options.base}/run-`.length);
  }

  /** The next end of the master is of our making: the run is to be resumed. */
  expectDeath(): void {
    this.look();
    this.wasKilled = true;
  }

  private launch(words: readonly string[]): void {
    const { program, environment, dir } = this.options;
    this.starts++;
    const output = `${dir}/run-${this.starts}`;
    const spawned = spawnProgram({
      argv: [program, ...words],
      environment,
      stdin: "/dev/null",
      stdout: `${output}.out`,
      stderr: `${output}.err`,
      group: "session",
    });
    if (spawned.status !== "started") throw new CfnError("unavailable", `cannot start the run: ${spawned.detail}`);
    const { pid } = spawned;
    this.current = { ...(identityOf(pid) ?? { pid, startTicks: 0 }), name: "master" };
    watchChild(pid, (exit) => void this.exited(exit).catch(this.failed), false);
  }

  private async exited(exit: Exit): Promise<void> {
    this.current = undefined;
    this.exits.push(exit);
    const resumes = this.wasKilled && exit.signal > 0 && this.runId !== "";
    this.wasKilled = false;
    if (resumes) {
      const { goneMs, orphans } = await this.awaitGone(limits.chaosMasterGoneMs);
      this.deaths.push({ goneMs, orphans, resumedAt: unixSeconds() });
      this.launch(["run", `--resume=${this.runId}`]);
      return;
    }
    this.orphans += (await this.awaitGone(limits.chaosGraceMs)).orphans;
    this.over();
  }

  /** Waits until nothing of the run is left; ends what is there after `mostMs`. */
  private async awaitGone(mostMs: number): Promise<Pick<MasterDeath, "goneMs" | "orphans">> {
    const { besides, mark } = this.options;
    const start = monotonicMs();
    for (;;) {
      const spared = new Set(besides());
      const isGone = descendantsOf(process.pid).every((pid) => spared.has(pid));
      const left = isGone ? remaining(mark, besides()) : undefined;
      const goneMs = monotonicMs() - start;
      if (left?.length === 0) return { goneMs, orphans: 0 };
      if (goneMs >= mostMs) {
        const orphans = left ?? remaining(mark, besides());
        endProcesses(orphans, limits.endWaitMs);
        return { goneMs, orphans: orphans.length };
      }
      await pause(LOOK_MS);
    }
  }
}
