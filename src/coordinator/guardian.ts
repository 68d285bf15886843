/**
 * The guardian of a run: a shell that waits for the master's end and does nothing else. Whoever ends the master by SIGKILL ends
 * whatever could have cleaned up after it; the guardian sees its pipe close, ends every process of the run, and removes the bus.
 *
 * It finds them by their environment as the kernel keeps it, where CFN_RUN_ID names this run and no other, never by a name; and,
 * where the run could be given a control group of its own, by that, which nothing gets out of. It is a shell because a second
 * cfn would cost a hundred times its time and memory.
 */
import { monotonicMs } from "../os/clock.ts";
import { environmentBlock } from "../os/environment.ts";
import { closeFile, pollFile, readInto, writeAll } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { makePipe } from "../os/pipe.ts";
import { reapNow, watchChild } from "../os/reap.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import { spawnProgram } from "../os/spawn.ts";

/**
 * POSIX sh. Arguments: run, bus, spool, control group or "", pid of the master. It answers "ready" and its group; a line on stdin
 * dismisses it; the end of stdin without one is the master's death. TERM first, KILL after two seconds, and it looks again until
 * nothing is left, for half a minute at most.
 */
const SCRIPT = `
run=$1 bus=$2 spool=$3 group=$4 master=$5
trap '' HUP INT TERM
if [ -n "$group" ]; then
  { mkdir "$group" && echo "$master" >"$group/cgroup.procs"; } || { rmdir "$group"; group=; }
fi
echo "ready $group"
if read -r _; then
  if [ -n "$group" ]; then echo "$master" >"\${group%/*}/cgroup.procs"; rmdir "$group"; fi
  exit 0
fi
signal() {
  found=
  for file in $(grep -lF "CFN_RUN_ID=$run" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    kill -"$1" "\${pid%/environ}" && found=1
  done
}
signal TERM
tries=0
while [ -n "$found" ] && [ $tries -lt 20 ]; do sleep 0.1; signal 0; tries=$((tries + 1)); done
if [ -n "$group" ]; then echo 1 >"$group/cgroup.kill"; fi
signal KILL
tries=0
while [ -n "$found" ] && [ $tries -lt 300 ]; do sleep 0.1; signal KILL; tries=$((tries + 1)); done
rm -rf "$bus" "$spool"
case "\${bus%/*}" in */cfn | */cfn-*) rmdir "\${bus%/*}" ;; esac
tries=0
while [ -n "$group" ] && ! rmdir "$group" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
`;

export interface GuardianOptions {
  readonly runId: string;
  readonly busDir: string;
  readonly spool: string;
  /** The control group to make and put this process into; undefined where there can be none. */
  readonly group: string | undefined;
  /** A descriptor that it holds as long as it has work to do: a lock on it ends no sooner. */
  readonly holds: number | undefined;
  /** Where `grep`, `rm` and `sleep` are. */
  readonly path: string | undefined;
  readonly onWarning: (text: string) => void;
}

const READY_MS = 2000;
const END_MS = 2000;

export class Guardian {
  /** 0 if it could not be started, or has ended. */
  pid = 0;
  private leash = -1;
  private answer = -1;
  private dismissed = false;
  private ended: () => void = () => undefined;
  /** Whether it watches; known after `ready`. */
  watches = false;
  /** Whether the run has a control group of its own. */
  grouped = false;

  /** Starts it, without waiting: from `ready` on it can be relied on. */
  constructor(private readonly options: GuardianOptions) {
    const { runId, busDir, spool, group = "", holds, path } = options;
    const leash = makePipe();
    const answer = makePipe();
    if (leash === undefined || answer === undefined) return;
    const spawned = spawnProgram({
      argv: ["/bin/sh", "-c", SCRIPT, "guardian", runId, busDir, spool, group, String(process.pid)],
      environment: environmentBlock({ PATH: path }),
      stdin: leash.read,
      stdout: answer.write,
      stderr: "/dev/null",
      group: "session",
      ...(holds === undefined ? {} : { holds }),
    });
    closeFile(leash.read);
    closeFile(answer.write);
    this.leash = leash.write;
    this.answer = answer.read;
    if (spawned.status !== "started") return;
    this.pid = spawned.pid;
    watchChild(
      spawned.pid,
      () => {
        this.pid = 0;
        if (!this.dismissed) options.onWarning(unguarded("the guardian of this run was ended"));
        this.ended();
      },
      false,
    );
  }

  /** Blocks until it watches, a few milliseconds as a rule. Warns where it does not. */
  ready(): void {
    const line = new Uint8Array(4096);
    const until = monotonicMs() + READY_MS;
    let text = "";
    while (this.pid > 0 && !text.endsWith("\n") && monotonicMs() < until) {
      if (!pollFile(this.answer, 1, until - monotonicMs())) break;
      const got = readInto(this.answer, line);
      if (got <= 0) break;
      text += new TextDecoder().decode(line.subarray(0, got));
    }
    closeFile(this.answer);
    this.watches = text.startsWith("ready");
    this.grouped = text.startsWith("ready /");
    if (!this.watches) this.options.onWarning(unguarded("no guardian could be started (it needs /bin/sh)"));
  }

  /** Ends it: the run has cleaned up by itself. Resolves when it is gone. */
  async dismiss(): Promise<void> {
    this.dismissed = true;
    if (this.pid > 0) {
      const gone = new Promise<void>((resolve) => {
        this.ended = resolve;
      });
      const wrote = writeAll(this.leash, new TextEncoder().encode("done\n"));
      if (wrote < 0) this.options.onWarning(`cannot dismiss the guardian: ${errorText(-wrote)}`);
      const kill = setTimeout(() => this.pid > 0 && signalGroup(this.pid, SIGKILL), END_MS);
      reapNow();
      await gone;
      clearTimeout(kill);
    }
    closeFile(this.leash);
  }
}

const unguarded = (why: string): string => `${why}: if cfn run is ended by SIGKILL now, its agents are not`;
