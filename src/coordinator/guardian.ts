/**
 * The guardian of a run: a shell that waits for the master's end and does nothing else. Whoever ends the master by SIGKILL ends
 * whatever could have cleaned up after it; the guardian sees its pipe close, ends every process of the run, and removes the bus.
 *
 * It finds them by their environment as the kernel keeps it, where CFN_RUN_ID names this run and no other, never by a name; and,
 * where the run can be given a control group of its own, by that, which nothing gets out of. It is a shell because a second
 * cfn would cost a hundred times its time and memory.
 *
 * The kernel takes 10 ms to move a process from one group to another. The way in is taken while the run makes itself ready, for
 * what was started before it would stay outside; the way out begins when the last result is there. The group is made and removed
 * here: a program to do that would take the shell longer than all else that it does.
 */
import { environmentBlock } from "../os/environment.ts";
import { closeFile, makeDirectory, pollFile, removeDirectory, writeAll } from "../os/file.ts";
import { makePipe } from "../os/pipe.ts";
import { reapNow, watchChild } from "../os/reap.ts";
import { SIGKILL, signalGroup } from "../os/signals.ts";
import { spawnProgram } from "../os/spawn.ts";

/**
 * POSIX sh. Arguments: run, bus, spool, control group or "", pid of the master. The line "over" on stdin says that the run needs
 * its group no longer, "done" that it has cleaned up; a line on stdout, that the master is in the group; the end of stdin without "done" is the master's death. TERM first, KILL
 * after two seconds, and it looks again until nothing is left, for half a minute at most. Then it lets go of what it holds: only an
 * empty group may remain, until somebody has reaped the master.
 */
const SCRIPT = `
run=$1 bus=$2 spool=$3 group=$4 master=$5
trap '' HUP INT TERM PIPE
if [ -n "$group" ]; then
  echo "$master" >"$group/cgroup.procs" || { rmdir "$group"; group=; }
  echo
fi
inside=$group
while read -r word; do
  if [ -n "$inside" ]; then echo "$master" >"\${group%/*}/cgroup.procs"; inside=; fi
  if [ "$word" = "done" ]; then exit 0; fi
done
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
exec 3<&-
tries=0
while [ -n "$group" ] && ! rmdir "$group" && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
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

const READY_MS = 100;
const END_MS = 2000;
const POLLIN = 1;
const encoder = new TextEncoder();

export class Guardian {
  /** 0 if it could not be started, or has ended. */
  pid = 0;
  /** The control group that the run is in, or will be when it is `ready`. */
  readonly group: string | undefined;
  private leash = -1;
  /** Where it says that this process is in the group. */
  private word = -1;
  private dismissed = false;
  private ended: () => void = () => undefined;

  /** Starts it; from now on the death of this process is noticed. Warns where that cannot be. */
  constructor({ runId, busDir, spool, group, holds, path, onWarning }: GuardianOptions) {
    const leash = makePipe();
    if (group !== undefined && makeDirectory(group) === 0) this.group = group;
    const word = this.group === undefined ? undefined : makePipe();
    const spawned =
      leash &&
      spawnProgram({
        argv: ["/bin/sh", "-c", SCRIPT, "guardian", runId, busDir, spool, this.group ?? "", String(process.pid)],
        environment: environmentBlock({ PATH: path }),
        stdin: leash.read,
        stdout: word?.write ?? "/dev/null",
        stderr: "/dev/null",
        group: "session",
        ...(holds === undefined ? {} : { holds }),
      });
    if (leash !== undefined) {
      closeFile(leash.read);
      this.leash = leash.write;
    }
    if (word !== undefined) {
      closeFile(word.write);
      this.word = word.read;
    }
    if (spawned?.status !== "started") {
      onWarning(unguarded(`no guardian could be started (${spawned?.detail ?? "no descriptors are left"})`));
      return;
    }
    this.pid = spawned.pid;
    const onExit = (): void => {
      this.pid = 0;
      if (!this.dismissed) onWarning(unguarded("the guardian of this run was ended"));
      this.ended();
    };
    watchChild(spawned.pid, onExit, false);
  }

  /** Blocks until this process is in the group, some milliseconds at most; there may be none to wait for. */
  ready(): void {
    if (this.word < 0) return;
    pollFile(this.word, POLLIN, READY_MS);
    this.dropWord();
  }

  /** Every task has its result: what is left to do needs no control group. */
  over(): void {
    this.say("over\n");
  }

  /** Ends it: the run has cleaned up by itself. Resolves when it is gone. */
  async dismiss(): Promise<void> {
    this.dismissed = true;
    if (this.pid > 0) {
      const gone = new Promise<void>((resolve) => {
        this.ended = resolve;
      });
      this.say("done\n");
      const kill = setTimeout(() => this.pid > 0 && signalGroup(this.pid, SIGKILL), END_MS);
      reapNow();
      await gone;
      clearTimeout(kill);
    }
    if (this.leash >= 0) closeFile(this.leash);
    this.dropWord();
    if (this.group !== undefined) removeDirectory(this.group);
  }

  private dropWord(): void {
    if (this.word >= 0) closeFile(this.word);
    this.word = -1;
  }

  /** If it is gone there is nobody to tell, which has been said. */
  private say(line: string): void {
    if (this.pid > 0) writeAll(this.leash, encoder.encode(line));
  }
}

const unguarded = (why: string): string => `${why}: if cfn run is ended by SIGKILL now, its agents are not`;
