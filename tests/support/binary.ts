/** Runs the compiled binary as a real process. `CFN_TEST_BINARY` names another one than dist/cfn. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

export const repositoryRoot = resolve(import.meta.dir, "../..");

export const cfnBinary = resolve(repositoryRoot, process.env["CFN_TEST_BINARY"] ?? "dist/cfn");

export interface CommandOptions {
  /** Added to this process's environment without its CFN_* variables; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Absent: no input (/dev/null). */
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  /** Past it the process group gets SIGTERM, `killGraceMs` later SIGKILL, and `timedOut` is true. */
  readonly timeoutMs?: number;
}

export interface CommandOutcome {
  /** Exit status; null where a signal ended it. */
  readonly code: number | null;
  /** As in "SIGTERM"; null where it exited. */
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface RunningCommand {
  /** Also the id of its process group and session. */
  readonly pid: number;
  /** Signals the leader alone. */
  kill(signal: NodeJS.Signals): void;
  readonly outcome: Promise<CommandOutcome>;
}

const timeoutMsDefault = 30_000;
const killGraceMs = 3_000;

/** The environment of a test's process: this one's, without any CFN_* variable, and `changes` on top. */
export function cleanEnvironment(changes: CommandOptions["env"] = {}): Record<string, string> {
  const result: Record<string, string> = {};
  // No settings but the test's.
  const own = { XDG_CONFIG_HOME: "/dev/null", ...changes };
  for (const [name, value] of Object.entries({ ...process.env, ...blankCfn(), ...own })) {
    if (value !== undefined) result[name] = value;
  }
  return result;
}

function blankCfn(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => name.startsWith("CFN_"));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // The whole group has ended: what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Starts a command in a session and process group of its own. Its `outcome` settles when it and its pipes have ended. */
export function startCommand(argv: readonly string[], options: CommandOptions = {}): RunningCommand {
  const child = Bun.spawn([...argv], {
    env: cleanEnvironment(options.env),
    cwd: options.cwd ?? repositoryRoot,
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin as string]),
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  let timedOut = false;
  let killTimer: Timer | undefined;
  const timer = setTimeout(() => {
    timedOut = true;
    signalGroup(child.pid, "SIGTERM");
    killTimer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), killGraceMs);
  }, options.timeoutMs ?? timeoutMsDefault);
  const finish = async (): Promise<CommandOutcome> => {
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(timer);
    clearTimeout(killTimer);
    const signal = child.signalCode === null ? null : String(child.signalCode);
    return { code: signal === null ? child.exitCode : null, signal, stdout, stderr, timedOut };
  };
  return { pid: child.pid, kill: (signal) => child.kill(signal), outcome: finish() };
}

export function startCfn(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  if (!existsSync(cfnBinary)) throw new Error(`no binary at ${cfnBinary}: build it with "npm run build"`);
  return startCommand([cfnBinary, ...args], options);
}

export const runCommand = (argv: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> =>
  startCommand(argv, options).outcome;

/** Runs `cfn` with these arguments to its end. */
export const runCfn = (args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> =>
  startCfn(args, options).outcome;
