/** Real processes for the fault tests: started with a mark in their environment, and accounted for at the end. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { cfnBinary, cleanEnvironment } from "../support/binary.ts";

/** Bound of every wait. */
const WAIT_MS = 20_000;

export interface Ended {
  /** 128 + signal where a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Set once it has ended. */
  readonly exit: Ended | undefined;
  /** What has come on stdout so far. */
  readonly output: () => string;
  signal(name: NodeJS.Signals): void;
  /** Ends its stdin, if that was to be held open. */
  closeInput(): void;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** `held`: open until `closeInput`. */
  readonly stdin?: string | "held";
}

/** Returns when `holds` does; throws after twenty seconds. */
export async function waitFor(what: string, holds: () => boolean, mostMs = WAIT_MS): Promise<void> {
  for (const end = Date.now() + mostMs; !holds(); await Bun.sleep(2))
    if (Date.now() > end) throw new Error(`not within ${mostMs} ms: ${what}`);
}

let made = 0;

/** A bus base under /dev/shm, a directory for files, and the processes that were started there. */
export class Place {
  readonly base: string;
  readonly files: string;
  readonly #mark: string;
  readonly #started: Running[] = [];

  constructor() {
    const name = `cfn-fault-${process.pid}-${++made}`;
    this.base = `/dev/shm/${name}`;
    mkdirSync(this.base, { mode: 0o700 });
    this.files = mkdtempSync(`${tmpdir()}/${name}-`);
    this.#mark = `CFN_TEST_MARK=${name}-${Date.now()}`;
  }

  start(argv: readonly string[], { env = {}, stdin = "" }: StartOptions = {}): Running {
    const [name, value] = this.#mark.split("=") as [string, string];
    // Files, not pipes: a reader of `cfn recv` would have to keep step with it, and nothing is lost with a killed one.
    const out = `${this.files}/${++made}.out`;
    const err = `${this.files}/${made}.err`;
    const fds = [openSync(out, "w"), openSync(err, "w")] as const;
    const child = Bun.spawn([...argv], {
      env: cleanEnvironment({
        ...env,
        CFN_MESSAGE_BASE_DIR: this.base,
        TMPDIR: this.files,
        XDG_STATE_HOME: `${this.files}/state`,
        [name]: value,
      }),
      cwd: this.files,
      stdin: stdin === "held" ? "pipe" : new Blob([stdin]),
      stdout: fds[0],
      stderr: fds[1],
      detached: true,
    });
    for (const fd of fds) closeSync(fd);
    let exit: Ended | undefined;
    const ended = child.exited.then((status) => {
      const code = child.signalCode === null ? status : 128 + signalNumber(`${child.signalCode}`);
      exit = { code, stdout: readFileSync(out, "utf8"), stderr: readFileSync(err, "utf8") };
      return exit;
    });
    const running: Running = {
      pid: child.pid,
      ended,
      get exit() {
        return exit;
      },
      output: () => readFileSync(out, "utf8"),
      signal: (signal) => child.kill(signal),
      closeInput: () => {
        if (typeof child.stdin === "object") child.stdin.end();
      },
    };
    this.#started.push(running);
    return running;
  }

  /** Runs the shipped binary to its end. */
  async cfn(args: readonly string[], options?: StartOptions): Promise<Ended> {
    return within(this.start([cfnBinary, ...args], options));
  }

  /** Pids of living processes that were started here, by whomever. */
  processes(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, "latin1").includes(this.#mark);
        } catch {
          return false; // It has ended, or is not ours.
        }
      })
      .map(Number);
  }

  /** What is in the bus base: nothing, where all has ended well. */
  left(): string[] {
    try {
      return readdirSync(this.base);
    } catch {
      return []; // The last one out removes the base too.
    }
  }

  /** Ends what is left and removes everything; returns the pids that were left. */
  async clear(): Promise<number[]> {
    const left = this.processes();
    for (const pid of left) kill(pid);
    await Promise.all(this.#started.map(({ ended }) => ended));
    rmSync(this.base, { recursive: true, force: true });
    rmSync(this.files, { recursive: true, force: true });
    return left;
  }
}

/** Its end, which must come in time. */
export async function within(running: Running, mostMs = WAIT_MS): Promise<Ended> {
  await waitFor(`the end of process ${running.pid}`, () => running.exit !== undefined, mostMs);
  return running.ended;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

const numbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};
const signalNumber = (name: string): number => numbers[name] ?? 0;

/** Letter of /proc/<pid>/stat; "" where it is gone. */
export function stateOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3);
  } catch {
    return ""; // It has ended.
  }
}
