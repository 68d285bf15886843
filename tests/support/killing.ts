/** Killing a run with everything below it, and what it has written by then. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { listDirectory } from "../../src/os/tree.ts";
import { linesOf, type Swarm, until } from "./swarm.ts";

/** Stops, then kills, the processes that carry the test's mark: none can start another in between. */
export async function killAll(swarm: Swarm): Promise<void> {
  for (let pids = swarm.processes(); pids.length > 0; pids = swarm.processes()) {
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const pid of pids) signalled(pid, signal);
    await Bun.sleep(5);
  }
}

/** Signals a process that may have ended by itself: false if it has. */
export function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Numbers, one a line, in a file that agents append to. */
export const numbersIn = (path: string): number[] =>
  existsSync(path) ? linesOf(readFileSync(path, "utf8")).map(Number) : [];

export const reached = (path: string, count: number): Promise<void> =>
  until(`${count} lines in ${path}`, () => numbersIn(path).length >= count);

const runsOf = ({ directory }: Swarm): string => `${directory}/state/cfn/runs`;

/** The journal folders of a test, the newest last. */
export const journalsOf = (swarm: Swarm): string[] =>
  listDirectory(runsOf(swarm))
    .filter((name) => !name.startsWith("."))
    .map((name) => `${runsOf(swarm)}/${name}`);

/** Positions of the tasks that a journal has recorded; none where it is only being made. */
export const recordedIn = (folder: string | undefined): number[] =>
  linesOf(existsSync(`${folder}/results`) ? readFileSync(`${folder}/results`, "utf8") : "")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as { seq?: number })
    .flatMap(({ seq }) => seq ?? []);

export const loggedIn = (joblog: string): number[] =>
  linesOf(readFileSync(joblog, "utf8"))
    .slice(1)
    .map((line) => Number(line.split("\t")[0]));

/** What stands in each folder of `--results`, by its name: `stdout` and `seq`. */
export const resultsIn = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(`${directory}/1`).map((name) => {
      const files = readdirSync(`${directory}/1/${name}`).sort();
      return [name, files.map((file) => readFileSync(`${directory}/1/${name}/${file}`, "utf8")).join("|")];
    }),
  );
