/** The senders of the ledger: processes of their own that are started again when they die. */
import { CfnError } from "../errors.ts";
import type { EnvironmentBlock } from "../os/environment.ts";
import type { ProcessIdentity } from "../os/process.ts";
import { signalProcess } from "../os/process.ts";
import { type Exit, watchChild } from "../os/reap.ts";
import { SIGCONT, SIGKILL, SIGTERM } from "../os/signals.ts";
import { spawnProgram } from "../os/spawn.ts";
import { identityOf, type Victim } from "./victims.ts";

export interface SendersOptions {
  readonly program: string;
  readonly environment: EnvironmentBlock;
  readonly seed: number;
  readonly ids: readonly string[];
  readonly inboxes: readonly string[];
  readonly busDir: string;
  /** The directory of evidence. */
  readonly dir: string;
}

interface Living extends ProcessIdentity {
  readonly id: string;
}

const RESTART_MS = 100;
const END_MS = 3000;
/** A sender that cannot stay alive is not started for ever. */
const LIVES_MOST = 10_000;

export class Senders {
  private readonly living = new Map<string, Living>();
  private readonly lives = new Map<string, number>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  /** Ends that no signal made. */
  failures = 0;
  private ending = false;
  private ended: () => void = () => undefined;

  constructor(private readonly options: SendersOptions) {}

  /** @throws CfnError unavailable */
  start(): void {
    for (const id of this.options.ids) this.launch(id);
  }

  pids(): number[] {
    return [...this.living.values()].map(({ pid }) => pid);
  }

  victims(): Victim[] {
    return [...this.living.values()].map(({ pid, startTicks, id }) => ({ pid, startTicks, name: id }));
  }

  /** Starts none again. */
  cease(): void {
    this.ending = true;
    for (const timer of this.timers) clearTimeout(timer);
  }

  /** Lets them finish what they are at, kills those that do not; resolves when none is left. */
  async end(): Promise<void> {
    this.cease();
    if (this.living.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.ended = resolve;
    });
    for (const pid of this.pids()) {
      signalProcess(pid, SIGTERM);
      signalProcess(pid, SIGCONT);
    }
    const kill = setTimeout(() => {
      for (const pid of this.pids()) signalProcess(pid, SIGKILL);
    }, END_MS);
    await gone;
    clearTimeout(kill);
  }

  private launch(id: string): void {
    const { program, environment, seed, inboxes, busDir, dir } = this.options;
    const generation = (this.lives.get(id) ?? 0) + 1;
    if (generation > LIVES_MOST) return;
    this.lives.set(id, generation);
    const words = [id, generation, seed, process.pid, busDir, dir, inboxes.join(",")].map(String);
    const spawned = spawnProgram({
      argv: [program, "chaos-sender", ...words],
      environment,
      stdin: "/dev/null",
      stdout: `${dir}/sender-${id}-${generation}.out`,
      stderr: `${dir}/sender-${id}-${generation}.err`,
      group: "session",
    });
    if (spawned.status !== "started") throw new CfnError("unavailable", `cannot start a sender: ${spawned.detail}`);
    const { pid } = spawned;
    this.living.set(id, { id, ...(identityOf(pid) ?? { pid, startTicks: 0 }) });
    watchChild(pid, (exit) => this.exited(id, exit), false);
  }

  private exited(id: string, exit: Exit): void {
    this.living.delete(id);
    if (exit.signal === 0 && exit.code !== 0) this.failures++;
    if (this.ending) {
      if (this.living.size === 0) this.ended();
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!this.ending) this.launch(id);
    }, RESTART_MS);
    this.timers.add(timer);
  }
}
