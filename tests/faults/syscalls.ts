/**
 * The shipped binary, killed or told that there is no space at its Nth system call. strace injects both. A first run is
 * traced to learn which calls there are: those that the main thread makes from the first one that names the bus's place on;
 * what comes before is the runtime's own start. SIGKILL comes at every one of them that can matter to others, ENOSPC at every
 * one that takes space. Then other processes use the bus, and all that was accepted must come out.
 *
 * Limits: calls of other threads (a flat swarm calls `posix_spawn` in one) and of agents are not hit; a run does not make
 * exactly the same calls each time, so that there an injection may find no call and the run just ends.
 *
 *     bun tests/faults/syscalls.ts [--all] [send|recv|run]...      without --all a sample by a seed, as in the tests
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { cfnBinary } from "../support/binary.ts";
import { seeded } from "../support/seed.ts";
import { noSpaceCodes } from "./outcome.ts";
import { type Ended, Place, within } from "./process.ts";
import { aftermath } from "./runs.ts";
import { Scene } from "./scene.ts";

/** Calls that change what others see, or wait, or look: a death at any of them is a different moment. */
const deadly =
  "openat mkdirat mknodat symlinkat renameat2 unlinkat fallocate mmap munmap flock fcntl write read close getdents64 statx lseek memfd_create clone3 kill waitid wait4 exit_group";
const spacious: Readonly<Record<string, RegExp>> = {
  openat: /O_CREAT/,
  fallocate: /./,
  write: /./,
  mkdirat: /./,
  mknodat: /./,
  symlinkat: /./,
  renameat2: /./,
  memfd_create: /./,
  mmap: /MAP_SHARED/,
};

const subjects = ["send", "recv", "run"] as const;
type Subject = (typeof subjects)[number];

interface Blow {
  readonly subject: Subject;
  readonly call: string;
  /** Which of the main thread's calls of that name, from 1. */
  readonly n: number;
  readonly how: "kill" | "nospace";
}

interface Struck extends Blow {
  readonly code: number;
  /** It hit no call that it was meant for: none, or one of the runtime, which calls a little more or less each time. */
  readonly missed: boolean;
  readonly problems: readonly string[];
}

const runArgs = ["run", "--agents", "4", "--", "sh", "-c", 'echo "$CFN_AGENT_ID"'];

const straced = (options: readonly string[], args: readonly string[]): string[] => [
  "strace",
  "-qq",
  ...options,
  cfnBinary,
  ...args,
];

const endedOtherThan =
  (codes: readonly number[]) =>
  ({ code, stderr }: Ended): string[] =>
    codes.includes(code) ? [] : [`ended with ${code}: ${stderr.slice(0, 2000)}`];

/** Runs a subject under strace in a place of its own, and says what is wrong afterwards. */
async function strike(
  place: Place,
  subject: Subject,
  options: readonly string[],
  wrong: (end: Ended) => string[],
): Promise<{ readonly code: number; readonly problems: string[] }> {
  if (subject === "run") {
    const end = await within(place.start(straced(options, runArgs)));
    const lines = end.stdout.split("\n").length - 1;
    const problems = end.code === 0 && lines !== 4 ? [`ended with 0 and printed ${lines} lines`] : [];
    return {
      code: end.code,
      problems: [...wrong(end), ...problems, ...(await aftermath(place, "run", end.code !== 137))],
    };
  }
  const scene = await Scene.open(place, cfnBinary);
  const from = subject === "send" ? "victim" : undefined;
  if (from === undefined) {
    await scene.sendLarge("early", "sink");
    scene.send("early", "sink", 40, 2);
  }
  const args =
    from === undefined
      ? ["recv", "sink"]
      : [
          "send",
          "sink",
          "--from",
          from,
          "--payload",
          JSON.stringify(scene.note(from, "sink")),
          "--json",
          "--timeout",
          "300ms",
        ];
  const end = await within(place.start(straced(options, args)));
  scene.book(from, end);
  const problems = [...wrong(end), ...(await scene.bystand())];
  // A receiver that dies before it acknowledges, or cannot, has the message handed over again.
  return {
    code: end.code,
    problems: [...problems, ...(await scene.end(from === undefined && end.code !== 0 ? 1 : 0))],
  };
}

async function inOwnPlace<T>(use: (place: Place) => Promise<T>): Promise<T & { readonly left: number }> {
  const place = new Place();
  try {
    const outcome = await use(place);
    return { ...outcome, left: place.processes().length };
  } finally {
    await place.clear();
  }
}

/** All blows for a subject, by a traced run of it. */
async function blowsFor(subject: Subject): Promise<Blow[]> {
  const work = mkdtempSync(`${tmpdir()}/cfn-trace-`);
  try {
    const trace = `${work}/trace`;
    const { problems } = await inOwnPlace((place) =>
      strike(
        place,
        subject,
        ["-o", trace, "-s", "256", "-e", `trace=${deadly.replaceAll(" ", ",")}`],
        endedOtherThan([0]),
      ),
    );
    if (problems.length > 0) throw new Error(`${subject} under strace: ${problems.join("; ")}`);
    const counts = new Map<string, number>();
    const blows: Blow[] = [];
    let begun = false;
    for (const line of readFileSync(trace, "latin1").split("\n")) {
      const call = /^([a-z0-9_]+)\(/.exec(line)?.[1];
      if (call === undefined) continue;
      const n = (counts.get(call) ?? 0) + 1;
      counts.set(call, n);
      begun ||= line.includes("/dev/shm/cfn-fault-");
      if (!begun) continue;
      blows.push({ subject, call, n, how: "kill" });
      if (spacious[call]?.test(line)) blows.push({ subject, call, n, how: "nospace" });
    }
    return blows;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function struck(blow: Blow): Promise<Struck> {
  const { subject, call, n, how } = blow;
  const effect = how === "kill" ? "signal=SIGKILL" : "error=ENOSPC";
  const optionsAt = (trace: string): string[] => [
    "-o",
    trace,
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:${effect}:when=${n}`,
  ];
  // A call that is refused may be the one that starts an agent's work.
  const codes = how === "kill" ? [137] : subject === "run" ? [...noSpaceCodes, 1] : noSpaceCodes;
  let missed = false;
  try {
    const { code, problems, left } = await inOwnPlace((place) => {
      const trace = `${place.files}/trace`;
      return strike(place, subject, optionsAt(trace), (end) => {
        const lines = readFileSync(trace, "latin1").split("\n");
        missed =
          how === "kill"
            ? lines.filter((line) => line.startsWith(`${call}(`)).length < n
            : !lines.some((line) => line.endsWith("(INJECTED)") && spacious[call]?.test(line));
        return missed ? [] : endedOtherThan(codes)(end);
      });
    });
    return {
      ...blow,
      code,
      missed,
      problems: left > 0 && code !== 137 ? [...problems, `${left} processes are left`] : problems,
    };
  } catch (error) {
    return {
      ...blow,
      code: -1,
      missed,
      problems: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    };
  }
}

const LANES = 2;

/** Strikes each subject everywhere, or `sample` times by a seed that is printed. */
export async function strikeAll(wanted: readonly string[], sample?: number): Promise<Struck[]> {
  if (Bun.which("strace") === null) throw new Error("strace is not installed: the system calls cannot be struck");
  const random = sample === undefined ? undefined : seeded("struck system calls");
  const blows: Blow[] = [];
  for (const subject of subjects.filter((one) => wanted.includes(one))) {
    const all = await blowsFor(subject);
    if (random === undefined) blows.push(...all);
    else for (let n = 0; n < (sample as number); n++) blows.push(...all.splice(random.below(all.length), 1));
  }
  const outcomes: Struck[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < blows.length; at = next++) outcomes[at] = await struck(blows[at] as Blow);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return outcomes;
}

/** Per subject and kind: how many blows, what the victims ended with. */
export function figuresOf(outcomes: readonly Struck[]): string {
  const groups = new Map<string, Struck[]>();
  for (const outcome of outcomes) {
    const name = `${outcome.subject.padEnd(5)} ${outcome.how.padEnd(8)}`;
    groups.set(name, [...(groups.get(name) ?? []), outcome]);
  }
  return [...groups]
    .map(([name, some]) => {
      const codes = [...new Set(some.map(({ code }) => code))].sort((a, b) => a - b);
      const ended = codes.map((code) => `${code} × ${some.filter((one) => one.code === code).length}`).join(", ");
      const failed = some.filter(({ problems }) => problems.length > 0).length;
      const missed = some.filter((one) => one.missed).length;
      return `${name} ${String(some.length).padStart(4)} calls   ended with ${ended}   ${missed} missed   ${failed} failed`;
    })
    .join("\n");
}

if (import.meta.main) {
  const print = (text: string): boolean => process.stdout.write(`${text}\n`);
  const start = Date.now();
  const words = process.argv.slice(2);
  const named = words.filter((word) => word !== "--all");
  const outcomes = await strikeAll(named.length > 0 ? named : subjects, words.includes("--all") ? undefined : 12);
  const failed = outcomes.filter(({ problems }) => problems.length > 0);
  print(figuresOf(outcomes));
  for (const { subject, call, n, how, problems } of failed)
    print(`\n${subject}, ${how} at ${call} number ${n}:\n${problems.join("\n")}`);
  print(
    `${outcomes.length} calls, ${failed.length} failed, ${Math.round((Date.now() - start) / 100) / 10} s, with ${cfnBinary}`,
  );
  process.exitCode = failed.length > 0 ? 1 : 0;
}
