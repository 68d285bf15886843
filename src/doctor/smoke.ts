/** The smoke test: a real swarm, run by this very executable, whose agents each send a message around a ring. */
import type { Env } from "../bus/directory.ts";
import type { RunReport } from "../coordinator/report.ts";
import { temporarySpace } from "../coordinator/spool.ts";
import { limits } from "../limits.ts";
import { monotonicMs } from "../os/clock.ts";
import { descendantsOf, endDescendants } from "../os/descendants.ts";
import { environmentBlock } from "../os/environment.ts";
import { ownExecutable } from "../os/executable.ts";
import { makeDirectory, readText } from "../os/file.ts";
import { ownIdentity } from "../os/process.ts";
import { reapNow, watchChild } from "../os/reap.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import { spawnProgram } from "../os/spawn.ts";
import { removeTree } from "../os/tree.ts";
import { type Check, failed, ok } from "./check.ts";

const NAME = "smoke_test";
const BASE = "CFN_MESSAGE_BASE_DIR";

/** Each agent writes to the next one and prints what it is written: "w2 from w1". */
const AGENT = `
n=\${CFN_AGENT_ID#w}
cfn send "w$((n % ${limits.smokeAgents} + 1))" --text "hello" >/dev/null || exit
cfn recv --wait=${limits.smokeMs / 2000} --max 1 | sed -n 's/.*"from":"\\([a-z0-9]*\\)".*/'"$CFN_AGENT_ID"' from \\1/p'
`;

const expected = (): string[] =>
  Array.from({ length: limits.smokeAgents }, (_, n) => `w${((n + 1) % limits.smokeAgents) + 1} from w${n + 1}`).sort();

/** Pure. `report`: undefined where there was none. */
export function judgeSmoke(output: string, errors: string, code: number, report: RunReport | undefined): Check {
  const heard = output
    .split("\n")
    .filter((line) => line !== "")
    .sort();
  const wanted = expected();
  const rate = report?.delivery.rate ?? 0;
  const same = heard.length === wanted.length && heard.every((line, n) => line === wanted[n]);
  if (code === 0 && same && rate === 1) {
    const ms = Math.round(report?.coordination_time_ms ?? 0);
    return ok(
      NAME,
      `${wanted.length} agents, ${report?.delivery.delivered} of ${report?.delivery.expected} messages of the run and ${heard.length} of ${wanted.length} between agents arrived, in ${ms} ms`,
    );
  }
  const said = errors.trim().split("\n")[0] ?? "";
  const figure = `exit status ${code}, ${heard.length} of ${wanted.length} messages between agents arrived, delivery rate ${rate}`;
  return failed(NAME, figure, said === "" ? "run it by hand: cfn run --agents 3 -- cfn agents" : said);
}

/**
 * Takes `limits.smokeMs` at most. Its files and its journal are in a directory of its own, which is removed. `onStart` is told
 * the run's pid: SIGTERM to it ends the test early.
 */
export async function smokeCheck(env: Env, onStart: (pid: number) => void): Promise<Check> {
  const program = ownExecutable();
  if (program === undefined)
    return failed(NAME, "the sources run under Bun", "a swarm needs the compiled cfn: npm run build");
  const { pid, startTicks } = ownIdentity();
  const directory = `${temporarySpace(env["TMPDIR"]).dir}/.new-${pid}-${startTicks}-doctor`;
  if (makeDirectory(directory) < 0) return failed(NAME, `cannot make ${directory}`, "set TMPDIR");
  try {
    const file = (name: string): string => `${directory}/${name}`;
    // What the user has set for swarms in general says nothing about this one.
    const plain = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CFN_") || name === BASE));
    const own = { ...plain, XDG_STATE_HOME: directory, XDG_CONFIG_HOME: directory };
    const spawned = spawnProgram({
      argv: [
        program,
        "run",
        "--agents",
        String(limits.smokeAgents),
        "--report",
        file("report"),
        "--",
        "/bin/sh",
        "-c",
        AGENT,
      ],
      environment: environmentBlock(own),
      stdin: "/dev/null",
      stdout: file("out"),
      stderr: file("err"),
      group: "session",
    });
    if (spawned.status !== "started") return failed(NAME, spawned.detail, "see the checks above");
    onStart(spawned.pid);
    const code = await ended(spawned.pid);
    await childless();
    const report = readText(file("report"));
    return judgeSmoke(
      readText(file("out")) ?? "",
      readText(file("err")) ?? "",
      code,
      report === undefined ? undefined : (JSON.parse(report) as RunReport),
    );
  } finally {
    removeTree(directory);
  }
}

/**
 * Where the run was killed, its guardian, which this process as a subreaper inherits, still clears up: waits until it has, or
 * ends what is left.
 */
async function childless(): Promise<void> {
  for (const until = monotonicMs() + limits.smokeClearMs; descendantsOf(process.pid).length > 0; reapNow()) {
    if (monotonicMs() > until) {
      endDescendants(limits.endWaitMs);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, limits.homeRetryMs));
  }
}

/** Of a run that takes too long, its guardian ends what is left. */
function ended(pid: number): Promise<number> {
  return new Promise((resolve) => {
    const begun = monotonicMs();
    const timer = setInterval(() => {
      if (monotonicMs() - begun > limits.smokeMs) signalGroup(pid, SIGKILL);
    }, limits.pollMs);
    watchChild(
      pid,
      ({ code }) => {
        clearInterval(timer);
        resolve(code);
      },
      false,
    );
  });
}
