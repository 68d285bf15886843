/**
 * The simulator by hand.
 *
 *     bun tests/simulation/run.ts [--schedules N]            many schedules; prints how many a second, and the coverage
 *     CFN_TEST_SEED=S bun tests/simulation/run.ts --schedule N [--mutant NAME]     one again, with its history and turns
 *     bun tests/simulation/run.ts --mutants [WORDS]          the table of mutants, or those whose name holds the words
 */
import { seeded } from "../support/seed.ts";
import { buildAll } from "./bundle.ts";
import { hire } from "./crew.ts";
import { mutants } from "./mutants.ts";
import { Simulator } from "./schedule.ts";
import { MUTANT_SCHEDULES, MUTANT_SEED, mutantLine } from "./table.ts";

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : (process.argv[at + 1] ?? "");
};
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const seed = option("mutants") === undefined ? seeded("simulator").seed : MUTANT_SEED;
const programs = await buildAll(
  option("mutants") === undefined && option("mutant") === undefined ? new Map() : mutants,
);

if (option("mutants") !== undefined) {
  for (const name of programs.keys())
    if (name === "real" || !name.includes(option("mutants") ?? "")) programs.delete(name);
  const crew = hire();
  await crew.catchAll(programs, seed, MUTANT_SCHEDULES, (name, failure) => say(mutantLine(name, failure)));
  crew.dismiss();
} else if (option("schedule") !== undefined) {
  const text = programs.get(option("mutant") ?? "real");
  if (text === undefined) throw new Error(`there is no mutant "${option("mutant")}"`);
  const simulator = new Simulator(text, seed);
  const turns: string[] = [];
  simulator.onTurn = (turn) => turns.push(turn);
  const { history, wrong, hash, steps } = simulator.run(Number(option("schedule")));
  for (const one of history) say(JSON.stringify(one));
  for (const turn of turns) say(turn);
  say(`${steps} steps, hash ${hash}`);
  for (const one of wrong) say(`WRONG: ${one}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} else {
  const crew = hire();
  const count = Number(option("schedules") ?? 100_000);
  const result = await crew.run(programs.get("real") ?? "", seed, count, (done) => {
    if (done % 50_000 < 500) process.stderr.write(`${done}\n`);
  });
  crew.dismiss();
  say(
    `${result.schedules} schedules, ${Math.round(result.steps / result.schedules)} steps each, in ${result.seconds.toFixed(1)} s: ${Math.round(result.schedules / result.seconds)} a second`,
  );
  for (const [name, n] of Object.entries(result.counters).sort()) say(`${String(n).padStart(9)}  ${name}`);
  for (const { schedule, wrong } of result.failures)
    say(`WRONG: CFN_TEST_SEED=${seed} bun tests/simulation/run.ts --schedule ${schedule}\n  ${wrong.join("\n  ")}`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}
