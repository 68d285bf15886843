/**
 * The crash-point matrix: every named crash point × {kill, stop then resume, no space}, each in a process of the fault build,
 * the others on the bus and the check afterwards by the shipped binary. Of the scenarios that make a
 * run each point gets one of the three, by a seed that is printed; with `--all` all three.
 *
 *     bun tests/faults/matrix.ts [--all] [WORD]      prints it, for the points or scenarios with that word in their name
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildBinary } from "../../scripts/build.ts";
import { type CrashPoint, crashPoints } from "../../src/os/fault.ts";
import { cfnBinary } from "../support/binary.ts";
import { seeded } from "../support/seed.ts";
import { environmentOf, type FaultAction, faultActions, inPlace, meet, type Outcome, wrongCode } from "./outcome.ts";
import { Place } from "./process.ts";
import { runCell, runScenarios } from "./runs.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { Scene } from "./scene.ts";

const LANES = 2;

function busCell(faultBinary: string, scenario: Scenario, point: CrashPoint, action: FaultAction): Promise<Outcome> {
  const place = new Place();
  const cell = { scenario: scenario.name, point, action };
  return inPlace(place, () => onBus(place, faultBinary, scenario, cell), cell);
}

async function onBus(
  place: Place,
  faultBinary: string,
  { victim: prepare, pass = 1, waits, after, damages = false }: Scenario,
  cell: Pick<Outcome, "scenario" | "point" | "action">,
): Promise<Omit<Outcome, "left">> {
  const { point, action } = cell;
  const scene = await Scene.open(place, faultBinary);
  const { args, stdin = "", from } = await prepare(scene);
  const injection = { at: point, pass, action, mark: `${place.files}/mark` };
  const victim = place.start([faultBinary, ...args], { env: environmentOf(injection), stdin });
  const early = waits ? scene.waiting(victim).then(() => scene.bystand()) : undefined;
  const problems: string[] = [];
  const end = await meet(victim, injection, async () => {
    problems.push(...(await (early ?? scene.bystand())));
  });
  scene.book(from, end);
  problems.push(...wrongCode(action, end));
  after?.(scene);
  // A receiver that dies between handing over and acknowledging has the message handed over again, marked so.
  problems.push(...(await scene.end(action === "kill" && from === undefined ? 1 : 0, damages)));
  return { ...cell, reached: end.reached, code: end.code, refused: end.refused, problems };
}

const TRIES = 6;

/** Somebody else may have repaired what the victim was to repair: then it passes by, unharmed, and the cell is run again. */
async function untilReached(run: () => Promise<Outcome>): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const outcome = await run();
    if (outcome.reached || tries === TRIES) return outcome;
  }
}

interface Matrix {
  readonly outcomes: readonly Outcome[];
  /** Points that no scenario names. */
  readonly unnamed: readonly CrashPoint[];
}

/**
 * Builds the fault binary and runs all cells, two at a time; those whose point or scenario has `word` in its name. Other
 * `actions` than the three of the matrix are for the scenarios on a bus that is there.
 */
export async function crashMatrix(
  word = "",
  actions: readonly FaultAction[] = faultActions,
  all = false,
): Promise<Matrix> {
  const work = mkdtempSync(`${tmpdir()}/cfn-faults-`);
  try {
    const faultBinary = `${work}/cfn`;
    await buildBinary(faultBinary, undefined, undefined, true);
    const cells: (() => Promise<Outcome>)[] = [];
    const named = new Set<CrashPoint>();
    const random = seeded("actions at the crash points of runs");
    const add = (
      name: string,
      points: readonly CrashPoint[],
      run: (point: CrashPoint, action: FaultAction) => Promise<Outcome>,
      sampled = false,
    ): void => {
      for (const point of points) {
        named.add(point);
        if (!`${name} ${point}`.includes(word)) continue;
        const some = sampled ? [actions[random.below(actions.length)] as FaultAction] : actions;
        for (const action of some) cells.push(() => untilReached(() => run(point, action)));
      }
    };
    for (const one of scenarios) add(one.name, one.points, (point, action) => busCell(faultBinary, one, point, action));
    for (const one of actions === faultActions ? runScenarios : [])
      add(one.name, one.points, (point, action) => runCell(faultBinary, one, point, action), !all);
    const outcomes: Outcome[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let at = next++; at < cells.length; at = next++)
        outcomes[at] = await (cells[at] as () => Promise<Outcome>)();
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return { outcomes, unnamed: crashPoints.filter((point) => !named.has(point)) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function cellText({ reached, code, refused, problems }: Outcome): string {
  if (!reached) return "not reached";
  return `${problems.length > 0 ? "FAILED " : ""}${code}${refused === undefined ? "" : ` ${refused}`}`;
}

/** One line per scenario and point: what its three victims ended with, and which call was told that there is no space. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = new Map<string, string[]>();
  for (const outcome of outcomes) {
    const name = `${outcome.scenario.padEnd(48)} ${outcome.point.padEnd(24)}`;
    const cells = rows.get(name) ?? faultActions.map(() => "");
    const column = (faultActions as readonly FaultAction[]).indexOf(outcome.action);
    cells[Math.max(0, column)] = cellText(outcome);
    rows.set(name, cells);
  }
  const head = `${"scenario".padEnd(48)} ${"point".padEnd(24)} ${"kill".padEnd(12)} ${"stop".padEnd(12)} nospace`;
  return [
    head,
    ...[...rows].map(([name, cells]) => `${name} ${cells.map((cell) => cell.padEnd(12)).join(" ")}`.trimEnd()),
  ].join("\n");
}

if (import.meta.main) {
  const print = (text: string): boolean => process.stdout.write(`${text}\n`);
  const start = Date.now();
  const words = process.argv.slice(2);
  const { outcomes, unnamed } = await crashMatrix(
    words.find((word) => word !== "--all"),
    faultActions,
    words.includes("--all"),
  );
  print(tableOf(outcomes));
  const failed = outcomes.filter(({ problems, reached }) => problems.length > 0 || !reached);
  for (const { scenario, point, action, problems } of failed)
    print(`\n${scenario}, ${action} at ${point}:\n${problems.join("\n")}`);
  const left = outcomes.filter((outcome) => outcome.left > 0);
  for (const { scenario, point, action, left: count } of left)
    print(`${count} processes left by ${scenario}, ${action} at ${point}`);
  if (unnamed.length > 0) print(`no scenario reaches ${unnamed.join(", ")}`);
  const points = new Set(outcomes.map(({ point }) => point)).size;
  print(
    `${outcomes.length} cells, ${points} points, ${failed.length} failed, ${Math.round((Date.now() - start) / 100) / 10} s, with ${cfnBinary}`,
  );
  process.exitCode = failed.length + unnamed.length > 0 ? 1 : 0;
}
