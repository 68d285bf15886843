/**
 * The self-proof. It runs a swarm of real processes that exchange numbered messages, kills, stops and starves them by a plan
 * drawn from a seed, and compares afterwards what everybody wrote down.
 *
 * Two things are under test at once. Messages: senders and agents write to inboxes on a bus of this process's own, which
 * outlives every run. Results: a hybrid `cfn run` over a task list, resumed whenever its master was killed. The checkers
 * (`messages.ts`, `results.ts`, `recovery.ts`) are pure and know nothing of how either works.
 *
 * This process is a subreaper: whatever it started, at any depth, stays its descendant and can be counted and ended.
 */
import type { Env } from "../bus/directory.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import { monotonicMs } from "../os/clock.ts";
import { endDescendants } from "../os/descendants.ts";
import { type EnvironmentBlock, environmentBlock } from "../os/environment.ts";
import { replaceFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { becomeSubreaper } from "../os/subreaper.ts";
import { removeTree } from "../os/tree.ts";
import { agentScript, taskCount, taskList, taskName } from "./errands.ts";
import { readFolders, readJoblog, readReport, runPaths } from "./findings.ts";
import { startGuard } from "./guard.ts";
import { lastWords, readHistory, readLives } from "./history.ts";
import { Killer } from "./killer.ts";
import { Ledger } from "./ledger.ts";
import { checkMessages } from "./messages.ts";
import { endProcesses, markVariable, remaining } from "./orphans.ts";
import { type ChaosOutcome, countStrikes, type RunSummary, violationsOf } from "./outcome.ts";
import { type ChaosPlace, takePlace } from "./place.ts";
import { type PlanRequest, planStrikes, type Strike, type VictimKind } from "./plan.ts";
import { measureRecovery } from "./recovery.ts";
import { checkResults } from "./results.ts";
import { Senders } from "./senders.ts";
import { tickClock } from "./ticks.ts";
import { Trial, trialRetries } from "./trial.ts";
import { LivingAgents } from "./victims.ts";

export interface ChaosRequest extends PlanRequest {
  /** This program's own executable. */
  readonly program: string;
  readonly env: Env;
  /** Where to keep the evidence; absent: nowhere. */
  readonly keep: string | undefined;
}

const TURN_MS = 20;
const SINKS = ["s1", "s2", "s3"] as const;

/** Coordinators for so many agents. */
const coordinatorsFor = (agents: number): number => (agents >= 70 ? 7 : agents >= 20 ? 4 : Math.min(3, agents));
const sendersFor = (agents: number): string[] =>
  Array.from({ length: Math.min(6, Math.max(2, Math.round(agents / 30))) }, (_, n) => `p${n + 1}`);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** @throws CfnError cannot_create */
function writeWhole(path: string, text: string): void {
  const wrote = replaceFile(path, text);
  if (wrote < 0) throw new CfnError("cannot_create", `cannot write ${path}: ${errorText(-wrote)}`);
}

export class Chaos {
  private readonly place: ChaosPlace;
  private readonly ledger: Ledger;
  private readonly senders: Senders;
  private readonly trial: Trial;
  private readonly agents: LivingAgents;
  private readonly killer: Killer;
  private readonly plan: readonly Strike[];
  private readonly coordinators: number;
  private readonly senderIds: readonly string[];
  private readonly environment: EnvironmentBlock;
  private readonly startMs = monotonicMs();
  private guard = 0;
  private interrupted = false;
  private hung = false;
  private isOver = false;

  /** Makes its bus and its directory, and starts nothing yet. Throws CfnError. */
  constructor(private readonly request: ChaosRequest) {
    const { program, seed, agents } = request;
    becomeSubreaper();
    this.plan = planStrikes(request);
    this.coordinators = coordinatorsFor(agents);
    this.senderIds = sendersFor(agents);
    this.place = takePlace(request.env, request.keep);
    const { mark, ledger, base, dir } = this.place;
    try {
      this.ledger = new Ledger(ledger, dir, SINKS);
    } catch (error) {
      if (!this.place.kept) removeTree(dir);
      throw error;
    }
    const environment = this.makeEnvironment();
    this.environment = environment;
    this.senders = new Senders({
      program,
      environment,
      seed,
      ids: this.senderIds,
      inboxes: this.inboxes,
      busDir: ledger,
      dir,
    });
    const besides = (): number[] => [this.guard, ...this.senders.pids()];
    this.trial = new Trial({ program, environment, args: this.runArguments(), dir, base, mark, besides });
    this.agents = new LivingAgents(dir);
    this.killer = new Killer({ trial: this.trial, agents: this.agents, senders: this.senders, ledger: this.ledger });
  }

  /**
   * Runs it to its end and cleans up, whatever happens. Undefined if it was interrupted.
   *
   * @throws CfnError unavailable where the swarm does not come up at all.
   */
  async run(): Promise<ChaosOutcome | undefined> {
    try {
      this.prepare();
      this.guard = startGuard(this.request.program, this.environment, this.place);
      this.senders.start();
      this.trial.start();
      await this.rage();
      if (this.interrupted) return undefined;
      this.killer.end();
      await this.senders.end();
      this.ledger.drain(this.senderIds);
      const outcome = this.conclude();
      if (this.place.kept) writeWhole(runPaths.outcome(this.place.dir), `${JSON.stringify(outcome, null, 2)}\n`);
      return outcome;
    } finally {
      this.cleanUp();
    }
  }

  /** Ends all of it; `run` resolves soon. */
  interrupt(): void {
    this.interrupted = true;
  }

  private get inboxes(): readonly string[] {
    return [...SINKS, ...this.senderIds];
  }

  private makeEnvironment(): EnvironmentBlock {
    const { mark, ledger, base, dir } = this.place;
    const inherited = Object.entries(this.request.env).filter(([name]) => !name.startsWith("CFN_"));
    return environmentBlock({
      ...Object.fromEntries(inherited),
      BUN_OPTIONS: undefined,
      BUN_BE_BUN: undefined,
      TMPDIR: dir,
      XDG_STATE_HOME: runPaths.state(dir),
      // The plan alone says how the run is.
      XDG_CONFIG_HOME: runPaths.state(dir),
      CFN_MESSAGE_BASE_DIR: base,
      CFN_CHAOS_DIR: dir,
      CFN_CHAOS_LEDGER: ledger,
      [markVariable]: mark,
    });
  }

  private runArguments(): string[] {
    const { dir } = this.place;
    const shape = [
      "--topology",
      "hybrid",
      "--coordinators",
      `${this.coordinators}`,
      "--agents",
      `${this.request.agents}`,
    ];
    const files = [
      "--joblog",
      runPaths.joblog(dir),
      "--results",
      runPaths.results(dir),
      "--report",
      runPaths.report(dir),
    ];
    return [...shape, "--tasks", runPaths.tasks(dir), ...trialRetries, ...files];
  }

  private prepare(): void {
    const { dir } = this.place;
    writeWhole(runPaths.script(dir), agentScript);
    writeWhole(runPaths.tasks(dir), taskList({ ...this.request, inboxes: this.inboxes }, runPaths.script(dir)));
  }

  /** Strikes as planned, reading the sinks all the while, until the run has ended. */
  private async rage(): Promise<void> {
    let failure: unknown;
    this.trial.ended
      .catch((error: unknown) => {
        failure = error;
      })
      .finally(() => {
        this.isOver = true;
      });
    const latest = monotonicMs() + limits.chaosStartMs;
    while (!this.isOver && !this.interrupted && this.agents.started === 0 && monotonicMs() < latest) await this.turn();
    if (this.agents.started === 0 && !this.interrupted) {
      throw new CfnError(
        "unavailable",
        `the swarm did not start: ${lastWords(`${this.place.dir}/run-1.err`) || "no agent came up"}`,
      );
    }
    const start = monotonicMs();
    let strikes = this.plan;
    const until = start + 3 * this.request.durationMs + limits.chaosFinishMs;
    while (!this.isOver && !this.interrupted && monotonicMs() < until) {
      const now = monotonicMs() - start;
      // One that finds nobody waits: for coordinators, while the master is down. Those that waited come one after the other.
      const struck = new Set<VictimKind>();
      strikes = strikes.filter((strike) => {
        if (strike.atMs > now || struck.has(strike.victim)) return true;
        struck.add(strike.victim);
        return !this.killer.strike(strike);
      });
      await this.turn();
    }
    for (const strike of strikes) this.killer.miss(strike);
    this.hung = !this.isOver && !this.interrupted;
    if (failure !== undefined) throw failure;
  }

  private async turn(): Promise<void> {
    this.trial.look();
    this.ledger.turn();
    this.agents.look();
    await pause(TURN_MS);
  }

  private conclude(): ChaosOutcome {
    const { seed, agents, durationMs, kinds } = this.request;
    const { dir, mark } = this.place;
    const lives = readLives(dir);
    const report = readReport(dir);
    const wallTime = tickClock();
    const begun = lives
      .filter(({ what }) => what === "start")
      .map(({ taskId, startTicks }) => ({ taskId, at: wallTime(startTicks) }));
    const { deaths } = this.trial;
    // One that hung is ended here: what it leaves are no orphans of its own making.
    if (this.hung) endDescendants(limits.endWaitMs, [this.guard]);
    const marked = remaining(mark, [this.guard]);
    endProcesses(marked, limits.endWaitMs);
    const afterMaster = deaths.reduce((sum, { orphans }) => sum + orphans, 0);
    const found = {
      messages: checkMessages(readHistory(dir, this.senderIds, this.inboxes)),
      results: checkResults({
        tasks: taskCount(this.request),
        taskName,
        joblog: readJoblog(dir),
        folders: readFolders(dir),
        lives,
      }),
      orphans: {
        after_master: afterMaster,
        after_run: this.trial.orphans,
        marked: marked.length,
        total: afterMaster + this.trial.orphans + marked.length,
        ended_by_run: report.orphansEnded,
      },
      run: this.summary(),
      sender_failures: this.senders.failures,
    };
    const { strokes } = this.killer;
    const done = strokes.filter(({ outcome }) => outcome === "done");
    const strikes = { planned: this.plan.length, done: countStrikes(strokes) };
    const violations = violationsOf({ ...found, strikes, kill: kinds });
    return {
      schema: "cfn.chaos/1",
      seed,
      agents,
      coordinators: this.coordinators,
      duration_ms: durationMs,
      kill: kinds,
      elapsed_ms: Math.round(monotonicMs() - this.startMs),
      clean: violations.length === 0,
      violations,
      strikes,
      ...found,
      recovery: measureRecovery(
        done,
        report.failovers,
        begun,
        deaths.map(({ resumedAt }) => resumedAt),
      ),
      evidence: this.place.kept ? dir : null,
      plan: this.plan,
      strokes,
    };
  }

  private summary(): RunSummary {
    const { exits, runId, deaths } = this.trial;
    const { dir } = this.place;
    const { status, failovers, deliveryRate } = readReport(dir);
    return {
      run_id: runId,
      exits: exits.map(({ code }) => code),
      status,
      hung: this.hung,
      resumes: deaths.length,
      master_gone_ms: Math.round(Math.max(0, ...deaths.map(({ goneMs }) => goneMs))),
      failovers: failovers.length,
      adopted: failovers.reduce((sum, { adopted }) => sum + adopted, 0),
      reassigned: failovers.reduce((sum, { reassigned }) => sum + reassigned, 0),
      delivery_rate: deliveryRate,
      buses_left: this.trial.busDir === "" ? 0 : 1,
      said: exits.at(-1)?.code === 0 ? "" : lastWords(`${dir}/run-${exits.length}.err`),
    };
  }

  private cleanUp(): void {
    this.killer.end();
    this.senders.cease();
    endDescendants(limits.endWaitMs);
    this.ledger.close();
    if (!this.place.kept) removeTree(this.place.dir);
  }
}
