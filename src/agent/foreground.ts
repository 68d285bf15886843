/**
 * One agent in the foreground: the command that somebody starts through `cfn agent`, with our own stdin, stdout and stderr.
 *
 * Where stdin is a terminal the command stays in our process group: the terminal then treats it as what the user started,
 * it may read, and Ctrl-C and Ctrl-Z reach it directly (so SIGINT and SIGQUIT are not handed on a second time). Elsewhere it
 * gets a group of its own. Either way this process is a subreaper, and when the command has ended every descendant is ended.
 */
import type { Bus } from "../bus/contract.ts";
import { makeRoster, type Roster, removeRoster } from "../bus/roster.ts";
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Json } from "../message/message.ts";
import { systemMs } from "../os/clock.ts";
import { descendantsOf, endDescendants } from "../os/descendants.ts";
import { environmentBlock } from "../os/environment.ts";
import { launchHere } from "../os/launch.ts";
import { signalProcess } from "../os/process.ts";
import { catchSignals, signalGroup } from "../os/signals.ts";
import { becomeSubreaper } from "../os/subreaper.ts";
import { isTerminal } from "../os/terminal.ts";
import { binDirectory } from "./bin.ts";
import { Deadlines } from "./deadlines.ts";
import type { Ending } from "./ending.ts";
import { Execution, type Times } from "./execution.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type HealthTimes, Sampler } from "./sampler.ts";
import type { Seat } from "./seat.ts";
import { leaveSeat, openSeats, registerSeats } from "./seating.ts";
import { StateFiles } from "./states.ts";
import { sharedVariables, taskVariables } from "./variables.ts";

export interface ForegroundOptions {
  readonly bus: Bus;
  readonly id: string;
  /** The agent that is told of the end, by a `result` message on its data chain; "" for none. */
  readonly team: string;
  readonly runId: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly argv: readonly string[];
  readonly timeoutMs?: number;
  /** How often to look at what the command does. */
  readonly health: HealthTimes;
  readonly onWarning: (text: string) => void;
}

/** Registers the id, runs the command to its end and gives the id back. Throws cannot_create if the id is taken. */
export async function runForeground(options: ForegroundOptions): Promise<Ending> {
  const { bus, id, team, env, runId, onWarning } = options;
  const states = new StateFiles(bus.info.dir, true);
  registerSeats(bus, team, [id]);
  const [seat] = openSeats(bus, [id], states) as [Seat];
  becomeSubreaper();
  const heartbeat = new Heartbeat(bus.info.dir, id);
  heartbeat.beat(1);
  const beating = setInterval(() => heartbeat.beat(1), limits.heartbeatMs);
  const epoch = bus.incarnation(id);
  const roster = openRoster(bus.info.dir, id, epoch, onWarning);
  const busDir = bus.info.dir;
  const shared = sharedVariables(env, { busDir, lead: team, runId, bin: binDirectory(busDir) });
  try {
    const { ending, times } = await execute(options, seat, shared, roster);
    const { left } = endDescendants(limits.endWaitMs);
    if (left.length > 0) onWarning(`processes that cannot be ended: ${left.join(", ")}`);
    if (team !== "") tell(options, ending, times);
    return ending;
  } finally {
    clearInterval(beating);
    heartbeat.end();
    roster?.close();
    removeRoster(bus.info.dir, id, epoch);
    leaveSeat(bus, seat, states);
  }
}

/** Who looks on sees less where there is no room for it; the agent does not depend on it. */
function openRoster(busDir: string, id: string, epoch: number, onWarning: (text: string) => void): Roster | undefined {
  // One of this name was left by a host that was killed.
  removeRoster(busDir, id, epoch);
  try {
    return makeRoster(busDir, id, epoch, 1);
  } catch (error) {
    if (!(error instanceof CfnError)) throw error;
    onWarning(`cfn health will know little of ${id}: ${error.message}`);
    return undefined;
  }
}

function execute(
  options: ForegroundOptions,
  seat: Seat,
  shared: Readonly<Record<string, string | undefined>>,
  roster: Roster | undefined,
): Promise<{ ending: Ending; times: Times }> {
  const { id, argv, timeoutMs } = options;
  const deadlines = new Deadlines();
  const group = isTerminal(0) ? "inherit" : "group";
  return new Promise((resolve) => {
    const execution = new Execution({
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      killGraceMs: limits.killGraceMs,
      deadlines,
      signalAll: group === "group" ? signalGroup : signalTree,
      onEnd: (ending, times) => {
        seat.meet(seat.state === "WORKING" ? "ended" : "not_started");
        clearInterval(looking);
        const { reason, exitCode, signal } = ending;
        roster?.ended(0, { ...times, reason, exitCode, signal });
        restore();
        deadlines.close();
        resolve({ ending, times });
      },
    });
    const restore = catchSignals(["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"], (signal, name) => {
      const fromTerminal = group === "inherit" && (name === "SIGINT" || name === "SIGQUIT");
      const ends = name === "SIGTERM" || name === "SIGHUP";
      if (!fromTerminal) execution.relay(signal, ends ? limits.killGraceMs : undefined);
    });
    const sampler = roster && new Sampler(roster, options.health, systemMs());
    const looking = setInterval(() => {
      obey(seat, execution, options);
      sampler?.tick(systemMs(), () => [{ number: 0, execution, files: undefined }]);
    }, limits.pollMs);
    roster?.beat(systemMs());
    roster?.launching(0, 1, 1);
    execution.begin({
      spawn: {
        argv,
        environment: environmentBlock(shared),
        variables: taskVariables(id, { task_id: id, seq: 1, attempt: 1, run: argv }),
        stdin: 0,
        stdout: 1,
        stderr: 2,
        group,
      },
      launcher: launchHere,
      onStart: (pid, startedAt) => {
        roster?.running(0, pid, startedAt);
        seat.meet("started");
      },
    });
  });
}

/** Whoever leads may stop the agent over the bus, as in a swarm; tasks it cannot be given. */
function obey(seat: Seat, execution: Execution, { onWarning, id }: ForegroundOptions): void {
  for (const control of seat.readMail()) {
    if (control.kind === "stop") execution.end("cancelled", "stopped over the bus", control.graceMs);
    else if (control.kind === "cancel" && control.taskId === id) execution.end("cancelled", "cancelled over the bus");
    else if (control.kind === "malformed") onWarning(control.why);
    else if (control.kind === "task") onWarning(`ignored task ${control.task.task_id}: ${id} runs one command only`);
  }
  seat.mailbox.settleAll();
  seat.settle();
}

/** All of a command that shares our group: found below it, for the group is ours and that of whoever started us. */
function signalTree(pid: number, signal: number): void {
  for (const one of [pid, ...descendantsOf(pid)]) signalProcess(one, signal);
}

function tell({ bus, id, team, runId, onWarning }: ForegroundOptions, ending: Ending, times: Times): void {
  const { reason, exitCode: exit_code, signal, detail } = ending;
  const result = { task_id: id, agent_id: id, reason, exit_code, signal };
  const payload: Json = {
    ...result,
    ...(detail === undefined ? {} : { detail }),
    started_at: times.startedAt,
    run_time_ms: times.runTimeMs,
  };
  const sent = bus.send({ from: id, to: team, type: "result", payload, runId });
  if (sent.status === "gone") onWarning(`${team} is not on the bus and does not learn of the result`);
  if (sent.status === "closed") onWarning(`${team} does not learn of the result: its run has ended`);
  if (sent.status === "full")
    onWarning(`${team} does not learn of the result: its ${sent.what} is full (${sent.limit})`);
}
