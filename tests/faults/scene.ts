/**
 * A bus with an owner, bystanders and a victim. The owner (`cfn agent sink -- cat`) makes the default bus and takes it away;
 * a bystander follows the inbox of `other` all the time, a second one sends to `sink` and `other` once the victim has come
 * to its crash point. Only the victim is the fault binary. What this process does to the bus itself (preparing, reading out
 * what has been prepared) it does by the bus's own code.
 */
import { closeSync, existsSync, openSync, readdirSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { openBus } from "../../src/bus/bus.ts";
import type { Bus } from "../../src/bus/contract.ts";
import { H } from "../../src/bus/layout.ts";
import { hashOf } from "../../src/bus/slots.ts";
import { cfnBinary } from "../support/binary.ts";
import { Ledger, type Note, type Received } from "./ledger.ts";
import { type Ended, type Place, type Running, stateOf, waitFor, within } from "./process.ts";

/** A message of this size lies in the segment itself, and 19 of them fill a large segment, 4 a small one. */
export const BIG = 13_500;
const BIG_RECORD = 13_760;
/** One of this size is a file of its own. */
export const LARGE = 40_000;

/** Messages that the second bystander sends to each. */
const SENT_BY_BYSTANDER = 3;

/** A fault: `point:action[:n]`, and where the one who acts leaves its pid. */
export const faultOf = (fault: string, mark: string): Record<string, string> => ({
  CFN_FAULT: fault,
  CFN_FAULT_MARK: mark,
});

const sinkHash = hashOf("sink");

const parseLines = (text: string): unknown[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

export class Scene {
  readonly ledger = new Ledger();
  readonly bus: Bus;
  /** Records of size `BIG` that a segment holds. */
  readonly perSegment: number;
  readonly #owner: Running;
  readonly #follower: Running;
  readonly #inboxes = ["sink"];
  #ids = 0;
  #marks = 0;

  private constructor(
    readonly place: Place,
    readonly faultBinary: string,
    owner: Running,
  ) {
    this.#owner = owner;
    this.bus = openBus(`${place.base}/default`);
    this.perSegment = Math.floor((this.bus.info.segmentBytes - 32) / BIG_RECORD);
    this.bus.register({ id: this.other, role: "guest" });
    this.#follower = place.start([cfnBinary, "recv", this.other, "--follow"]);
  }

  /** An agent in the shard of `sink`, whose inbox a bystander follows. */
  readonly other = this.mate();

  static async open(place: Place, faultBinary: string): Promise<Scene> {
    const owner = place.start([cfnBinary, "agent", "sink", "--", "cat"], { stdin: "held" });
    const state = `${place.base}/default/agents/sink/state`;
    await waitFor("the bus", () => owner.exit !== undefined || existsSync(state));
    if (owner.exit !== undefined) throw new Error(`the owner of the bus ended: ${owner.exit.stderr}`);
    return new Scene(place, faultBinary, owner);
  }

  /** An id that is not taken, in the shard of `sink`, or in another one. */
  mate(near = true): string {
    for (;;) {
      const id = `m${++this.#ids}`;
      // A bus has a power of two of shards, 64 at most.
      if (near ? (hashOf(id) ^ sinkHash) % 64 === 0 : (hashOf(id) ^ sinkHash) % 2 !== 0) return id;
    }
  }

  /** Registers an agent here; its inbox is read out at the end. */
  inbox(near = true): string {
    const id = this.mate(near);
    this.bus.register({ id, role: "guest" });
    this.#inboxes.push(id);
    return id;
  }

  send(from: string, to: string, bytes = 40, count = 1): void {
    for (let n = 0; n < count; n++) {
      const payload = this.ledger.note(from, to, bytes);
      const sent = this.bus.send({ from, to, type: "note", payload: { ...payload } });
      if (sent.status !== "accepted") throw new Error(`preparing: ${JSON.stringify(sent)}`);
      this.ledger.accepted(from, to);
    }
  }

  take(id: string, count: number): void {
    const lease = this.bus.lease(id, "data");
    for (let left = count; lease !== undefined && left > 0; left--) {
      for (const { message } of lease.read(1)) this.ledger.received(message as unknown as Received);
      lease.ack(1);
    }
    lease?.release();
  }

  /** Lines of a batch: one note to each of these, in this order. */
  batch(from: string, to: readonly string[], bytes = 40): string {
    const line = (id: string): string =>
      JSON.stringify({ from, to: id, type: "note", payload: this.ledger.note(from, id, bytes) });
    return `${to.map(line).join("\n")}\n`;
  }

  /** Writes over a count in the header of every shard in use, as no process of ours would: no message is hit. */
  damageCounts(): void {
    const base = `${this.place.base}/default/shards`;
    for (const path of new Bun.Glob("*/index").scanSync({ cwd: base })) {
      const fd = openSync(`${base}/${path}`, "r+");
      writeSync(fd, new Uint8Array([7, 7]), 0, 2, H.blobBytes * 4);
      closeSync(fd);
    }
  }

  /** Sent by a process that is gone when the victim comes. */
  async sendLarge(from: string, to: string): Promise<void> {
    const payload = JSON.stringify(this.ledger.note(from, to, LARGE));
    const sent = await this.place.cfn(["send", to, "--from", from, "--payload", "-", "--json"], { stdin: payload });
    this.book(from, sent);
  }

  note(from: string, to: string, bytes?: number): Note {
    return this.ledger.note(from, to, bytes);
  }

  /** Until the second bystander comes nobody but the victim looks at the bus: who else did might repair it first. */
  async hush(): Promise<void> {
    for (const running of [this.#owner, this.#follower]) {
      running.signal("SIGSTOP");
      await waitFor("its stop", () => /^[Tt]?$/.test(stateOf(running.pid)));
    }
  }

  /** A process that dies at a crash point, before the victim comes. */
  async dies(at: string, args: readonly string[], stdin = ""): Promise<void> {
    const mark = `${this.place.files}/before-${++this.#marks}`;
    const env = faultOf(`${at}:kill`, mark);
    const { code, stderr } = await within(this.place.start([this.faultBinary, ...args], { env, stdin }));
    if (code !== 137) throw new Error(`preparing: died with ${code} instead of at ${at}: ${stderr}`);
  }

  /** Books what a `send --json` or a `recv` has printed. */
  book(from: string | undefined, { stdout }: Ended): void {
    for (const line of parseLines(stdout)) {
      if (from === undefined) this.ledger.received(line as Received);
      else this.ledger.accepted(from, (line as { to: string }).to);
    }
  }

  /** Resolves when two wait for messages: the first bystander and the victim; or the latter has ended. */
  waiting(victim: Running): Promise<void> {
    const bells = `${this.place.base}/default/bells`;
    return waitFor("a second bell", () => victim.exit !== undefined || readdirSync(bells).length >= 2);
  }

  /** The second bystander: what went wrong with it. */
  async bystand(): Promise<string[]> {
    for (const running of [this.#owner, this.#follower]) running.signal("SIGCONT");
    const to = Array.from({ length: 2 * SENT_BY_BYSTANDER }, (_, n) => (n % 2 === 0 ? "sink" : this.other));
    const sent = await this.place.cfn(["send", "--batch", "-", "--json"], { stdin: this.batch("by", to) });
    this.book("by", sent);
    return sent.code === 0 ? [] : [`a bystander's send ended with ${sent.code}: ${sent.stderr}`];
  }

  /** Reads everything out, ends the owner, and says what is wrong; `damages`: that the bus was damaged is no news. */
  async end(redelivered: number, damages = false): Promise<string[]> {
    const problems: string[] = [];
    const followed = (): number => this.#follower.output().split("\n").length - 1;
    await waitFor(
      "the bystander's messages",
      () =>
        this.#follower.exit !== undefined ||
        (followed() >= SENT_BY_BYSTANDER && this.bus.depth(this.other, "data") === 0),
    );
    this.#follower.signal("SIGTERM");
    this.book(undefined, await within(this.#follower));
    for (const id of this.#inboxes) {
      const read = await this.place.cfn(["recv", id]);
      this.book(undefined, read);
      if (read.code !== 0) problems.push(`recv ${id} ended with ${read.code}: ${read.stderr}`);
    }
    problems.push(...this.ledger.problems(redelivered));
    const { damaged } = this.bus.sweep();
    if (damaged > 0 !== damages) problems.push(`${damaged} places are damaged`);
    const { base } = this.place;
    for (const part of ["blobs", "bells"]) {
      const left = readdirSync(`${base}/default/${part}`);
      if (left.length > 0) problems.push(`left in ${part}: ${left.join(", ")}`);
    }
    const tables = [...new Bun.Glob("default/shards/*/pairs-*").scanSync({ cwd: base })];
    if (new Set(tables.map((path) => dirname(path))).size < tables.length)
      problems.push(`more than one table of pairs in a shard: ${tables.join(", ")}`);
    for (const { id } of this.bus.agents()) if (id !== "sink") this.bus.unregister(id);
    this.bus.close();
    this.#owner.closeInput();
    const { code, stderr } = await within(this.#owner);
    if (code !== 0) problems.push(`the owner ended with ${code}: ${stderr}`);
    if (this.place.left().length > 0) problems.push(`left in the bus base: ${this.place.left().join(", ")}`);
    return problems;
  }
}
