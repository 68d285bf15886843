/**
 * Victims that make a bus of their own: a swarm's master, its coordinators, an agent that is the only one. Afterwards the
 * shipped binary looks at the bus that is left, and a next run must find everything in order and leave nothing.
 *
 * While the victim stands still, another run in the same place must come to its end and not sweep the stopped one's bus.
 */
import type { CrashPoint } from "../../src/os/fault.ts";
import { environmentOf, type FaultAction, inPlace, meet, type Outcome, wrongCode } from "./outcome.ts";
import { Place, waitFor, within } from "./process.ts";

export interface RunScenario {
  readonly name: string;
  /** The subcommand that is to die; others that pass the points go on. */
  readonly command: "run" | "coordinator" | "agent";
  readonly points: readonly CrashPoint[];
  readonly args: readonly string[];
  /** Each prints its id, which comes out once; where the run ends with 0, all of them. */
  readonly tasks: number;
  /** Exit statuses beside those of every victim. */
  readonly codes?: Partial<Record<FaultAction | "all", readonly number[]>>;
  /** A run that dies here goes before, with nothing on its PATH: its guardian can end processes, but remove nothing. */
  readonly after?: CrashPoint;
  /** Where its master is killed, `cfn run --resume` finishes it. */
  readonly resumed?: true;
}

const echo = ["--", "sh", "-c", 'cat; echo "$CFN_TASK_ID"'];
const ONLY = ["agent", "only", "--", "true"];

export const runScenarios: readonly RunScenario[] = [
  {
    name: "an agent that makes the bus and takes it away",
    command: "agent",
    points: [
      "create.hidden",
      "create.parts",
      "shard.locks_made",
      "shard.index_allocated",
      "create.shard_made",
      "create.built",
      "create.owned",
      "create.shown",
      "destroy.begun",
      "destroy.hidden",
      "destroy.removed",
    ],
    args: ONLY,
    tasks: 0,
  },
  {
    name: "a flat swarm",
    command: "run",
    points: [
      "host.registered",
      "host.open",
      "post.sent",
      "task.read",
      "task.assigned",
      "spawn.filled",
      "spawn.submitted",
      "spawn.watched",
      "exit.seen",
      "exit.told",
      "exit.reaped",
      "result.made",
      "result.sending",
      "result.sent",
      "result.settled",
      "mail.handled",
      "run.over",
      "shutdown.closed",
      "run.ended",
      "destroy.hidden",
    ],
    // So many that they are started by another thread.
    args: ["run", "--agents", "17", "--retries", "2", ...echo],
    tasks: 17,
  },
  {
    name: "a run that is resumed",
    command: "run",
    points: ["journal.begun", "journal.writing", "journal.written", "run.over", "journal.ending", "journal.ended"],
    args: ["run", "--agents", "3", ...echo],
    tasks: 3,
    resumed: true,
  },
  {
    name: "a swarm that is halted",
    command: "run",
    points: ["shutdown.stopping"],
    args: ["run", "--agents", "2", "--halt", "now", "--", "sh", "-c", "test $CFN_AGENT_ID = w1 && exit 3; sleep 5"],
    tasks: 0,
    codes: { all: [1] },
  },
  {
    name: "a hybrid swarm that is halted",
    command: "run",
    points: ["hybrid.stopping"],
    args: [
      ...["run", "--coordinators", "2", "--agents", "2", "--halt", "now", "--", "sh", "-c"],
      "test $CFN_AGENT_ID = c1-w1 && exit 3; sleep 5",
    ],
    tasks: 0,
    codes: { all: [1] },
  },
  {
    name: "a run whose agents leave messages unread",
    command: "run",
    points: ["closing.shard_done", "drain.closed", "drain.kept", "drain.taken"],
    args: [
      "run",
      "--agents",
      "3",
      "--",
      "sh",
      "-c",
      'cfn send "$CFN_AGENT_ID" --text hello >/dev/null; echo "$CFN_TASK_ID"',
    ],
    tasks: 3,
  },
  {
    name: "a run that finds a dead one's bus",
    command: "run",
    points: ["sweep.dead_bus"],
    args: ["run", "--agents", "1", ...echo],
    tasks: 1,
    after: "run.over",
  },
  {
    name: "the master of a hybrid swarm",
    command: "run",
    points: ["hybrid.started", "mail.handled", "hybrid.ending", "run.ended"],
    args: ["run", "--coordinators", "2", "--agents", "4", ...echo],
    tasks: 4,
  },
  {
    name: "the master that takes over from a coordinator",
    command: "run",
    points: ["takeover.begun", "takeover.emptied", "takeover.adopting", "takeover.adopted", "takeover.done"],
    args: [
      ...["run", "--coordinators", "2", "--agents", "4", "--", "sh", "-c"],
      'if test "$CFN_AGENT_ID$CFN_ATTEMPT" = c1-w11; then sleep 0.2; kill -KILL $PPID; sleep 0.2; fi; echo "$CFN_TASK_ID"',
    ],
    tasks: 4,
  },
  {
    name: "a coordinator",
    command: "coordinator",
    points: [
      "member.registered",
      "host.registered",
      "member.open",
      "member.handled",
      "member.passing",
      "task.assigned",
      "spawn.begun",
      "spawn.started",
      "spawn.watched",
      "exit.told",
      "exit.reaped",
      "roster.made",
      "roster.said_launching",
      "roster.said_running",
      "roster.said_ended",
      "result.made",
      "result.sending",
      "result.sent",
      "member.stopping",
      "member.closed",
      "member.bye",
      "member.left",
    ],
    args: ["run", "--coordinators", "2", "--agents", "4", ...echo],
    tasks: 4,
    // The run goes on: what its agents do is seen to its end, what it had not begun goes to others.
    codes: { kill: [0] },
  },
];

/** How long a guardian gets to end what a killed master has left: two seconds of grace, and a machine that is busy. */
const DYING_MS = 15_000;

export function runCell(
  faultBinary: string,
  scenario: RunScenario,
  point: CrashPoint,
  action: FaultAction,
): Promise<Outcome> {
  const place = new Place();
  const cell = { scenario: scenario.name, point, action };
  return inPlace(place, () => drive(place, faultBinary, scenario, cell), cell);
}

async function drive(
  place: Place,
  faultBinary: string,
  { command, args, tasks, codes = {}, after, resumed }: RunScenario,
  cell: Pick<Outcome, "scenario" | "point" | "action">,
): Promise<Omit<Outcome, "left">> {
  const { point, action } = cell;
  const problems: string[] = [];
  if (after !== undefined) {
    const fault = environmentOf({ at: `run/${after}`, action: "kill", mark: `${place.files}/before` });
    const env = { ...fault, PATH: "/nonexistent" };
    await within(place.start([faultBinary, "run", "--agents", "1", "--", "/bin/true"], { env }));
  }
  const before = place.left();
  const injection = { at: `${command}/${point}`, action, mark: `${place.files}/mark` };
  const victim = place.start([faultBinary, ...args], { env: environmentOf(injection) });
  const end = await meet(victim, injection, async () => {
    if (action !== "stop") return;
    const isAlone = command === "agent";
    const beside = await place.cfn(
      isAlone ? ["agent", "beside", "--", "true"] : ["run", "--agents", "1", "--", "true"],
    );
    // The default bus may be the one that is just being taken away, and its remover stands still: "not available".
    if (beside.code !== 0 && !(isAlone && beside.code === 69))
      problems.push(`what ran beside it ended with ${beside.code}: ${beside.stderr}`);
  });
  problems.push(...wrongCode(action, end, [...(codes.all ?? []), ...(codes[action] ?? [])]));
  const printed = end.stdout.split("\n").slice(0, -1);
  if (new Set(printed).size < printed.length || (end.code === 0 && printed.length !== tasks))
    problems.push(`ended with ${end.code} and printed ${JSON.stringify(printed)}`);
  if (resumed && end.code === 137) problems.push(...(await finish(place, printed, tasks)));
  problems.push(...(await aftermath(place, command, end.code !== 137, before)));
  return { ...cell, reached: end.reached, code: end.code, refused: end.refused, problems };
}

/** `--resume` after a death: what was printed and not yet recorded comes once more, and nothing is missing. */
async function finish(place: Place, printed: readonly string[], tasks: number): Promise<string[]> {
  const { code, stdout, stderr } = await place.cfn(["run", "--resume"]);
  const more = stdout.split("\n").slice(0, -1);
  // The line of its end is written: there is nothing to resume.
  if (code === 66 && printed.length === tasks) return [];
  if (code === 0 && new Set(more).size === more.length && new Set([...printed, ...more]).size === tasks) return [];
  return [
    `resumed, it ended with ${code} and printed ${JSON.stringify(more)} after ${JSON.stringify(printed)}: ${stderr}`,
  ];
}

/**
 * What is wrong with a place after a run, or an only agent, has ended there; `survived`: by itself. A guardian removes what
 * a dead run has left, but not what lay there `before`; the bus of an only agent is looked at and used by the next one. That
 * leaves nothing.
 */
export async function aftermath(
  place: Place,
  command: RunScenario["command"],
  survived: boolean,
  before: readonly string[] = [],
): Promise<string[]> {
  const problems: string[] = [];
  if (survived && command !== "agent" && place.left().some((name) => name.startsWith("run-")))
    problems.push(`the run has ended and its bus is there: ${place.left().join(", ")}`);
  await waitFor("the end of its processes", () => place.processes().length === 0, DYING_MS).catch(() => {
    problems.push(`${place.processes().length} processes outlived the run`);
  });
  const buses = (): string[] => place.left().filter((one) => one.startsWith("run-") && !before.includes(one));
  await waitFor("the end of the bus", () => buses().length === 0, DYING_MS).catch(() => {
    problems.push(`nobody has removed ${buses().join(", ")}`);
  });
  for (const name of place.left().filter((one) => !one.startsWith("."))) {
    const { code, stderr } = await place.cfn(["agents", "--bus", `${place.base}/${name}`]);
    if (code !== 0) problems.push(`cfn agents ended with ${code} on the bus that was left: ${stderr}`);
  }
  for (const next of [
    ["agent", "again", "--", "true"],
    ["run", "--agents", "1", "--", "true"],
  ]) {
    if (next[0] === "agent" && command !== "agent") continue;
    const { code, stderr } = await place.cfn(next);
    if (code !== 0) problems.push(`the next ${next[0]} ended with ${code}: ${stderr}`);
  }
  if (place.left().length > 0) problems.push(`left in the bus base: ${place.left().join(", ")}`);
  return problems;
}
