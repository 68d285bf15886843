/**
 * Simulation of the bus: the real code of src/bus, many processes in one thread, every interleaving that a seed can name.
 *
 * Method
 * - `weave.ts` turns the functions of src/bus into generators that may be left at every store to shared memory, before every
 *   look at it without the lock, and before every system call. Nothing of the source is changed but for that
 *   (`buildAll` compares), and nothing in src/ knows of it: the shipped bus pays nothing.
 * - `system.ts` and `kernel.ts` stand in for src/os: files, `flock`, byte locks, mappings, FIFOs, processes, a clock.
 * - `schedule.ts` draws a bus with a past, two to four processes (`scenario.ts`) that send, send in batches, retry under the old
 *   sequence number after an unknown outcome, lease, read, acknowledge, host, leave, sweep, wait, look, look on; turns of 1 to 800 points; deaths
 *   and stops at any point (the dead often start anew under the same pid); and calls that fail for want of space,
 *   descriptors or memory. A copy of many bytes is cut anywhere when its process is interrupted or dies in it.
 * - A store by one who does not hold the shard's lock, or to unmapped memory, is caught where it happens; the rest by
 *   `history.ts`, from outside, and by `aftermath.ts`: a fresh process drains everything and demands the memory back; after
 *   every fourth schedule it looks at all seals and compares the index with a rebuild's. A plain death must never count as damage.
 * - `mutants.ts` are faults that must be caught.
 *
 * Limits
 * - Memory is sequentially consistent: what a weaker processor may reorder is not tried (x86-64 and arm64 with the
 *   bus's `Atomics` are meant to be as good; nothing here shows it).
 * - Loads are no points, but for the looks named in `weave.ts`; loads from unmapped memory go unnoticed.
 * - Opening a bus's meta file is one step. Messages are not validated JSON of every kind, buses have one or two shards,
 *   segments 1 KiB. Listening bells (an event loop) are not simulated, waiting ones are.
 * - Damaged files, rosters and boards (`roster.ts`, `board.ts`, one writer each), `supersede`, and everything above the bus, are others' tests.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { seeded } from "../support/seed.ts";
import { buildAll } from "./bundle.ts";
import { type Crew, hire } from "./crew.ts";
import { mutants } from "./mutants.ts";
import { Simulator } from "./schedule.ts";
import { covered, MUTANT_SCHEDULES, MUTANT_SEED, mutantLine } from "./table.ts";

const SCHEDULES = Number(process.env["CFN_TEST_SCHEDULES"] ?? 100_000);
let programs: Map<string, string>;
let crew: Crew;

beforeAll(async () => {
  programs = await buildAll(mutants);
  crew = hire();
}, 60_000);

afterAll(() => crew?.dismiss());

test("a schedule is a function of its seed alone", () => {
  const text = programs.get("real") as string;
  const [first, again] = [new Simulator(text, 7), new Simulator(text, 7)];
  for (let schedule = 0; schedule < 50; schedule++) first.run(schedule);
  for (const schedule of [49, 3, 21]) {
    const { hash, steps } = again.run(schedule);
    expect(again.run(schedule)).toMatchObject({ hash, steps });
    expect(first.run(schedule)).toMatchObject({ hash, steps });
  }
});

test(`the bus keeps its promises in ${SCHEDULES} schedules`, async () => {
  const { seed } = seeded("simulation");
  const result = await crew.run(programs.get("real") as string, seed, SCHEDULES);
  const each = Math.round(result.steps / result.schedules);
  const rate = Math.round(result.schedules / result.seconds);
  process.stderr.write(
    `${result.schedules} schedules of ${each} steps in ${result.seconds.toFixed(1)} s: ${rate} a second\n`,
  );
  process.stderr.write(`${covered.map((name) => `${name} ${result.counters[name] ?? 0}`).join(", ")}\n`);
  const told = result.failures.map(
    ({ schedule, wrong }) =>
      `CFN_TEST_SEED=${seed} bun tests/simulation/run.ts --schedule ${schedule}\n${wrong.join("\n")}`,
  );
  expect(told).toEqual([]);
  expect(
    covered.filter((name) => (result.counters[name] ?? 0) === 0),
    "what never happened",
  ).toEqual([]);
}, 600_000);

test("every mutant is caught", async () => {
  const survivors: string[] = [];
  const faulty = new Map([...programs].filter(([name]) => name !== "real"));
  expect(faulty.size).toBeGreaterThanOrEqual(12);
  await crew.catchAll(faulty, MUTANT_SEED, MUTANT_SCHEDULES, (name, failure) => {
    process.stderr.write(`${mutantLine(name, failure)}\n`);
    // One that does not run is no fault of the bus, and would be "caught" by any simulator.
    const isBroken = failure?.wrong.some((what) => /ReferenceError|SyntaxError/.test(what)) === true;
    if (failure === undefined || isBroken) survivors.push(name);
  });
  expect(survivors).toEqual([]);
}, 600_000);
