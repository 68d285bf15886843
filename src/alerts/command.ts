/**
 * The command that is run for each alert, with the alert as one line of JSON on its stdin.
 *
 * One at a time, in the order of the alerts; each has its time, then its group gets TERM and a little later KILL. At most
 * `limits.alertCommands` are run for a run, and at most `limits.alertQueue` wait: what is beyond is dropped, counted and said once.
 * So no flood of alerts becomes a flood of processes. Its output goes nowhere: it must not mix with the agents'.
 */
import { limits } from "../limits.ts";
import { formatDuration } from "../message/quantity.ts";
import { monotonicMs } from "../os/clock.ts";
import { type EnvironmentBlock, environmentBlock } from "../os/environment.ts";
import { type Exit, watchChild } from "../os/reap.ts";
import { SIGKILL, SIGTERM, signalGroup } from "../os/signals.ts";
import { spawnProgram } from "../os/spawn.ts";
import type { AlertEvent } from "./watch.ts";

interface AlertCommandOptions {
  /** A program and its arguments, or a text for `sh -c`. */
  readonly command: string | readonly string[];
  readonly timeoutMs: number;
  /** What it finds beside the alert. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly onWarning: (text: string) => void;
}

export class AlertCommand {
  /** Of the one that is being run; 0 while there is none. */
  pid = 0;
  dropped = 0;
  private begun = 0;
  /** No command runs longer than this, by the monotonic clock. */
  private until = Number.POSITIVE_INFINITY;
  private warned = false;
  private readonly argv: readonly string[];
  private readonly environment: EnvironmentBlock;
  private readonly waiting: AlertEvent[] = [];
  private timers: ReturnType<typeof setTimeout>[] = [];
  private drained: () => void = () => undefined;

  constructor(private readonly options: AlertCommandOptions) {
    const { command, variables } = options;
    this.argv = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
    this.environment = environmentBlock(variables);
  }

  submit(event: AlertEvent): void {
    const { waiting } = this;
    if (this.begun + waiting.length < limits.alertCommands && waiting.length < limits.alertQueue) {
      waiting.push(event);
      this.next();
      return;
    }
    if (this.dropped++ > 0) return;
    const most = `at most ${limits.alertCommands} of a run, ${limits.alertQueue} of them waiting`;
    this.options.onWarning(`further alerts do not run alert.command (${most}): they are in the log and the metrics`);
  }

  /**
   * The run is over: what runs and waits has the time of one command in all; then it is ended, and dropped. Resolves when none
   * runs.
   */
  async end(): Promise<void> {
    const { timeoutMs, onWarning } = this.options;
    this.until = Math.min(this.until, monotonicMs() + timeoutMs);
    if (this.pid === 0) return;
    const late = setTimeout(
      () => {
        const { length } = this.waiting.splice(0);
        if (length > 0) onWarning(`${length} alerts did not run alert.command: the run is over, and its time too`);
        this.stop();
      },
      Math.max(0, this.until - monotonicMs()),
    );
    await new Promise<void>((resolve) => {
      this.drained = resolve;
    });
    clearTimeout(late);
  }

  /** Ends the one that runs now, and drops those that wait, without a word. */
  cut(): void {
    this.warned = true;
    this.until = monotonicMs();
    this.waiting.splice(0);
    if (this.pid > 0) signalGroup(this.pid, SIGKILL);
  }

  private next(): void {
    if (this.pid > 0) return;
    for (let event = this.waiting.shift(); event !== undefined; event = this.waiting.shift()) {
      this.begun++;
      const spawned = spawnProgram({
        argv: this.argv,
        environment: this.environment,
        stdin: { text: `${JSON.stringify(event)}\n` },
        stdout: "/dev/null",
        stderr: "/dev/null",
        group: "session",
      });
      if (spawned.status === "started") {
        this.pid = spawned.pid;
        const timeMs = Math.min(this.options.timeoutMs, this.until - monotonicMs());
        this.timers = [setTimeout(() => this.stop(), Math.max(0, timeMs))];
        watchChild(spawned.pid, (exit) => this.ended(exit), true);
        return;
      }
      this.failed(spawned.detail);
    }
    this.drained();
  }

  /** It has had its time. */
  private stop(): void {
    const { pid } = this;
    if (pid === 0) return;
    this.failed(`it did not end in time (${formatDuration(this.options.timeoutMs)})`);
    signalGroup(pid, SIGTERM);
    this.timers.push(setTimeout(() => this.pid === pid && signalGroup(pid, SIGKILL), limits.alertKillMs));
  }

  private ended({ code }: Exit): void {
    this.pid = 0;
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
    if (code !== 0) this.failed(`it ended with ${code}`);
    this.next();
  }

  private failed(why: string): void {
    if (this.warned) return;
    this.warned = true;
    this.options.onWarning(`alert.command failed, and is not spoken of again if it does: ${why}`);
  }
}
