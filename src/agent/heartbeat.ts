/**
 * `<bus>/heartbeats/<name>`: "<unix seconds> <pid> <agents that run>" and a newline, replaced each `limits.heartbeatMs` by a
 * process that hosts agents; the name is that of the lead, or of the agent where `cfn agent` hosts one.
 *
 * One file per host and not per agent: the death of a host or an agent is a fact that the kernel tells (locks, SIGCHLD), so
 * what remains to be told is that a host's loop still turns, and that is the same for all its agents.
 */
import { unixSeconds } from "../os/clock.ts";
import { makeDirectory, replaceFile, unlinkFile } from "../os/file.ts";

export class Heartbeat {
  readonly #path: string;

  constructor(busDir: string, name: string) {
    makeDirectory(`${busDir}/heartbeats`);
    this.#path = `${busDir}/heartbeats/${name}`;
  }

  /** A full file system skips a beat; whoever reads it sees an old time, which is the truth. */
  beat(active: number): void {
    replaceFile(this.#path, `${unixSeconds().toFixed(3)} ${process.pid} ${active}\n`);
  }

  end(): void {
    unlinkFile(this.#path);
  }
}
