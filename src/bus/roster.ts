/**
 * What each seat of a coordinator runs, on shared memory, for whoever has to take its team over and for whoever looks on: the
 * file `<bus>/rosters/<lead>.<epoch>`, written by the coordinator's process alone, and after its death by the master for the
 * agents that it has adopted. `cfn agent ID` keeps one of a single seat, `<id>.<incarnation>`.
 *
 * It costs a few stores for an agent. A state is stored after the fields it stands for, so that a death in between leaves
 * the one before. `launching` without a pid means: perhaps there is a process, perhaps not. A seat that has ended keeps its end
 * until its next task.
 *
 * Words: +0 magic, +1 seats, +2 expected, +3 delivered, +4 duplicates (the coordinator's own counts), +5 its pid, +6 a double:
 * when its loop turned last, ms of the machine's clock, +8 its start ticks, +9 its pid namespace; from +16 on 22 words a seat: state, seq, attempt, pid, start (Unix
 * seconds, a double), run time (ms, a double), exit code, signal, reason, and what was last seen of its process: the letter
 * of its state (0: not looked at yet), when, its last progress, stopped since (ms of the machine's clock, doubles), run
 * mark, CPU ticks, bytes of output.
 */
import { CfnError } from "../errors.ts";
import { type EndReason, endReasons } from "../message/protocol.ts";
import { systemMs } from "../os/clock.ts";
import { allocateFile, closeFile, fileSize, makeDirectory, O, openFile, unlinkFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";
import { ownIdentity, type ProcessIdentity, pidNamespace } from "../os/process.ts";
import { listDirectory } from "../os/tree.ts";

const MAGIC = 0x524f_4643; // "CFOR"
const HEADER_WORDS = 16;
const SEAT_WORDS = 22;
const BEAT = 6;
const states = ["idle", "launching", "running", "ended"] as const;

/** What a host saw of an agent's process when it looked last. Times are ms of the machine's clock. */
export interface RosterSample {
  readonly at: number;
  /** The letter of /proc. */
  readonly state: string;
  /** When it had last used CPU time or written output. */
  readonly progressAt: number;
  /** Since when it has been stopped, at least; undefined if it is not. */
  readonly stoppedSince: number | undefined;
  /** Of a stopped one: what `runMark` said; 0 if unknown. */
  readonly mark: number;
  readonly cpuTicks: number;
  /** Of its output files together, modulo 2^32. */
  readonly outputBytes: number;
}

export interface RosterEntry {
  /** Index of the seat in the team, from 0. */
  readonly seat: number;
  readonly state: "launching" | "running" | "ended";
  readonly seq: number;
  readonly attempt: number;
  /** 0 while launching. */
  readonly pid: number;
  /** Unix seconds; 0 while launching. */
  readonly startedAt: number;
  /** Of an ended one. */
  readonly runTimeMs: number;
  readonly exitCode: number;
  readonly signal: number;
  readonly reason: EndReason;
  /** Of a running one that its host has looked at. */
  readonly sample: RosterSample | undefined;
}

/** What a coordinator has counted: messages to and from its seats. */
export interface RosterCounts {
  readonly expected: number;
  readonly delivered: number;
  readonly duplicates: number;
}

export interface RosterRead {
  /** Its seats that are busy or have ended something. */
  readonly entries: readonly RosterEntry[];
  readonly counts: RosterCounts;
  readonly seats: number;
  /** The process that made it. */
  readonly host: ProcessIdentity;
  /** Of that one's pid, and those of its agents. */
  readonly pidNamespace: number;
  /** When that one's event loop turned last: ms of the machine's clock. */
  readonly beatAt: number;
}

const directoryOf = (busDir: string): string => `${busDir}/rosters`;
const pathOf = (busDir: string, lead: string, epoch: number): string => `${directoryOf(busDir)}/${lead}.${epoch}`;
const doublesOf = ({ bytes }: Mapping): Float64Array =>
  new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 3);

/** The writing side. */
export class Roster {
  readonly #mapping: Mapping;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;

  constructor(mapping: Mapping) {
    this.#mapping = mapping;
    this.#words = mapping.words;
    this.#doubles = doublesOf(mapping);
  }

  #to(seat: number, state: number): void {
    Atomics.store(this.#words, HEADER_WORDS + seat * SEAT_WORDS, state);
  }

  /** Before its process is asked for. */
  launching(seat: number, seq: number, attempt: number): void {
    this.#to(seat, 0);
    const at = HEADER_WORDS + seat * SEAT_WORDS;
    this.#words[at + 1] = seq;
    this.#words[at + 2] = attempt;
    this.#words[at + 3] = 0;
    this.#words[at + 11] = 0;
    this.#to(seat, 1);
    globalThis.crashPoint?.("roster.said_launching");
  }

  running(seat: number, pid: number, startedAt: number): void {
    const at = HEADER_WORDS + seat * SEAT_WORDS;
    this.#words[at + 3] = pid;
    this.#doubles[(at + 4) >>> 1] = startedAt;
    this.#to(seat, 2);
    globalThis.crashPoint?.("roster.said_running");
  }

  /** Before the process is reaped: afterwards nobody could know. */
  ended(seat: number, end: Pick<RosterEntry, "startedAt" | "runTimeMs" | "exitCode" | "signal" | "reason">): void {
    const at = HEADER_WORDS + seat * SEAT_WORDS;
    this.#doubles[(at + 4) >>> 1] = end.startedAt;
    this.#doubles[(at + 6) >>> 1] = end.runTimeMs;
    this.#words[at + 8] = end.exitCode;
    this.#words[at + 9] = end.signal;
    this.#words[at + 10] = endReasons.indexOf(end.reason);
    this.#to(seat, 3);
    globalThis.crashPoint?.("roster.said_ended");
  }

  /** Nothing is known of this seat any more, or somebody else's roster has it. */
  clear(seat: number): void {
    this.#to(seat, 0);
  }

  /** What the host has seen of the seat's process. */
  sampled(seat: number, sample: RosterSample): void {
    const at = HEADER_WORDS + seat * SEAT_WORDS;
    this.#doubles[(at + 12) >>> 1] = sample.at;
    this.#doubles[(at + 14) >>> 1] = sample.progressAt;
    this.#doubles[(at + 16) >>> 1] = sample.stoppedSince ?? 0;
    this.#words[at + 18] = sample.mark;
    this.#words[at + 19] = sample.cpuTicks;
    this.#words[at + 20] = sample.outputBytes;
    Atomics.store(this.#words, at + 11, sample.state.charCodeAt(0));
  }

  /** What `sampled` said last of the task that the seat runs now. */
  sampleOf(seat: number): RosterSample | undefined {
    return sampleAt(this.#words, this.#doubles, HEADER_WORDS + seat * SEAT_WORDS);
  }

  /** The host's loop turns: `now` is ms of the machine's clock. */
  beat(now: number): void {
    this.#doubles[BEAT >>> 1] = now;
  }

  count({ expected, delivered, duplicates }: RosterCounts): void {
    this.#words[2] = expected;
    this.#words[3] = delivered;
    this.#words[4] = duplicates;
  }

  /** Ends the mapping; nothing may be called afterwards. The file stays. */
  close(): void {
    this.#mapping.unmap();
  }
}

/** Throws CfnError("try_again") where the bus directory has no room for it. */
export function makeRoster(busDir: string, lead: string, epoch: number, seats: number): Roster {
  const path = pathOf(busDir, lead, epoch);
  makeDirectory(directoryOf(busDir));
  const fd = openFile(path, O.RDWR | O.CREAT | O.EXCL);
  const bytes = (HEADER_WORDS + seats * SEAT_WORDS) * 4;
  const allocated = fd < 0 ? fd : allocateFile(fd, bytes);
  const mapping = allocated < 0 ? undefined : mapFile(fd, bytes);
  if (fd >= 0) closeFile(fd);
  if (mapping === undefined) {
    throw new CfnError("try_again", `cannot make ${path}: ${errorText(-allocated)}`, "free some space there");
  }
  mapping.words[1] = seats;
  const { pid, startTicks } = ownIdentity();
  mapping.words[5] = pid;
  mapping.words[8] = startTicks;
  mapping.words[9] = pidNamespace();
  // Without a beat whoever looks on would take its maker for one whose loop has never turned.
  doublesOf(mapping)[BEAT >>> 1] = systemMs();
  Atomics.store(mapping.words, 0, MAGIC);
  globalThis.crashPoint?.("roster.made");
  return new Roster(mapping);
}

/** The roster of a coordinator that has died, to be written on. Undefined if it died before it had made one. */
export function reopenRoster(busDir: string, lead: string, epoch: number): Roster | undefined {
  const mapping = mapRoster(busDir, lead, epoch);
  if (mapping === undefined) return undefined;
  if (seatsIn(mapping) === mapping.words[1]) return new Roster(mapping);
  mapping.unmap();
  return undefined;
}

export function removeRoster(busDir: string, lead: string, epoch: number): void {
  unlinkFile(pathOf(busDir, lead, epoch));
}

/** Of whom there are rosters on this bus, in no order. */
export function listRosters(busDir: string): { readonly lead: string; readonly epoch: number }[] {
  return listDirectory(directoryOf(busDir)).flatMap((name) => {
    const [, lead, epoch] = /^([a-z0-9][a-z0-9_-]*)\.([0-9]+)$/.exec(name) ?? [];
    return lead === undefined ? [] : [{ lead, epoch: Number(epoch) }];
  });
}

/** Undefined if there is none, or it is none. */
export function readRoster(busDir: string, lead: string, epoch: number): RosterRead | undefined {
  const mapping = mapRoster(busDir, lead, epoch);
  if (mapping === undefined) return undefined;
  const { words } = mapping;
  const doubles = doublesOf(mapping);
  const all = Array.from({ length: seatsIn(mapping) }, (_, seat) => entryOf(words, doubles, seat));
  const counts = { expected: words[2] as number, delivered: words[3] as number, duplicates: words[4] as number };
  const host = { pid: words[5] as number, startTicks: words[8] as number };
  const [namespace, beatAt] = [words[9] as number, doubles[BEAT >>> 1] as number];
  mapping.unmap();
  const entries = all.filter((entry) => entry !== undefined);
  return { entries, counts, seats: all.length, host, pidNamespace: namespace, beatAt };
}

function mapRoster(busDir: string, lead: string, epoch: number): Mapping | undefined {
  const fd = openFile(pathOf(busDir, lead, epoch), O.RDWR);
  if (fd < 0) return undefined;
  const bytes = fileSize(fd) & ~7;
  const mapping = bytes >= HEADER_WORDS * 4 ? mapFile(fd, bytes) : undefined;
  closeFile(fd);
  return mapping;
}

function seatsIn({ words }: Mapping): number {
  if (words[0] !== MAGIC) return 0;
  return Math.min(words[1] as number, Math.floor((words.length - HEADER_WORDS) / SEAT_WORDS));
}

function entryOf(words: Uint32Array, doubles: Float64Array, seat: number): RosterEntry | undefined {
  const at = HEADER_WORDS + seat * SEAT_WORDS;
  const state = states[Atomics.load(words, at)];
  if (state === undefined || state === "idle") return undefined;
  const launching = state === "launching";
  return {
    seat,
    state,
    seq: words[at + 1] as number,
    attempt: words[at + 2] as number,
    pid: launching ? 0 : (words[at + 3] as number),
    startedAt: launching ? 0 : (doubles[(at + 4) >>> 1] as number),
    runTimeMs: state === "ended" ? (doubles[(at + 6) >>> 1] as number) : 0,
    exitCode: words[at + 8] as number,
    signal: words[at + 9] as number,
    reason: endReasons[words[at + 10] as number] ?? "lost",
    sample: state === "running" ? sampleAt(words, doubles, at) : undefined,
  };
}

function sampleAt(words: Uint32Array, doubles: Float64Array, at: number): RosterSample | undefined {
  const letter = Atomics.load(words, at + 11);
  if (letter === 0) return undefined;
  return {
    at: doubles[(at + 12) >>> 1] as number,
    state: String.fromCharCode(letter),
    progressAt: doubles[(at + 14) >>> 1] as number,
    stoppedSince: doubles[(at + 16) >>> 1] || undefined,
    mark: words[at + 18] as number,
    cpuTicks: words[at + 19] as number,
    outputBytes: words[at + 20] as number,
  };
}
