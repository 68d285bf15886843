/**
 * What each seat of a coordinator runs, on shared memory, for whoever has to take its team over: the file
 * `<bus>/rosters/<lead>.<epoch>`, written by the coordinator's process alone and read when that is dead.
 *
 * It costs a few stores for an agent. A state is stored after the fields it stands for, so that a death in between leaves
 * the one before. `launching` without a pid means: perhaps there is a process, perhaps not.
 *
 * Words: +0 magic, +1 seats, +2 expected, +3 delivered, +4 duplicates (the coordinator's own counts); from +16 on 12 words a
 * seat: state, seq, attempt, pid, start (Unix seconds, a double), run time (ms, a double), exit code, signal, reason.
 */
import { CfnError } from "../errors.ts";
import { type EndReason, endReasons } from "../message/protocol.ts";
import { allocateFile, closeFile, fileSize, makeDirectory, O, openFile } from "../os/file.ts";
import { errorText } from "../os/libc.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";

const MAGIC = 0x524e_4643; // "CFNR"
const HEADER_WORDS = 16;
const SEAT_WORDS = 12;
const states = ["idle", "launching", "running", "ended"] as const;

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
}

/** What a coordinator has counted: messages to and from its seats. */
export interface RosterCounts {
  readonly expected: number;
  readonly delivered: number;
  readonly duplicates: number;
}

const pathOf = (busDir: string, lead: string, epoch: number): string => `${busDir}/rosters/${lead}.${epoch}`;

/** The writing side. */
export class Roster {
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;

  /** Throws CfnError("try_again") where the bus directory has no room for it. */
  constructor(busDir: string, lead: string, epoch: number, seats: number) {
    const path = pathOf(busDir, lead, epoch);
    makeDirectory(`${busDir}/rosters`);
    const fd = openFile(path, O.RDWR | O.CREAT | O.EXCL);
    const bytes = (HEADER_WORDS + seats * SEAT_WORDS) * 4;
    const allocated = fd < 0 ? fd : allocateFile(fd, bytes);
    const mapping = allocated < 0 ? undefined : mapFile(fd, bytes);
    if (fd >= 0) closeFile(fd);
    if (mapping === undefined) {
      throw new CfnError("try_again", `cannot make ${path}: ${errorText(-allocated)}`, "free some space there");
    }
    this.#words = mapping.words;
    this.#doubles = new Float64Array(mapping.bytes.buffer, mapping.bytes.byteOffset, bytes >>> 3);
    this.#words[1] = seats;
    Atomics.store(this.#words, 0, MAGIC);
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
    this.#to(seat, 1);
  }

  running(seat: number, pid: number, startedAt: number): void {
    const at = HEADER_WORDS + seat * SEAT_WORDS;
    this.#words[at + 3] = pid;
    this.#doubles[(at + 4) >>> 1] = startedAt;
    this.#to(seat, 2);
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
  }

  count({ expected, delivered, duplicates }: RosterCounts): void {
    this.#words[2] = expected;
    this.#words[3] = delivered;
    this.#words[4] = duplicates;
  }
}

/** The roster of a dead coordinator: its busy seats. Undefined if it died before it had made one, or it is none. */
export function readRoster(
  busDir: string,
  lead: string,
  epoch: number,
): { readonly entries: readonly RosterEntry[]; readonly counts: RosterCounts } | undefined {
  const fd = openFile(pathOf(busDir, lead, epoch), O.RDWR);
  if (fd < 0) return undefined;
  const bytes = fileSize(fd) & ~7;
  const mapping = bytes >= HEADER_WORDS * 4 ? mapFile(fd, bytes) : undefined;
  closeFile(fd);
  if (mapping === undefined) return undefined;
  const { words } = mapping;
  const seats = Math.min(words[1] as number, Math.floor((bytes / 4 - HEADER_WORDS) / SEAT_WORDS));
  const entries = words[0] === MAGIC ? Array.from({ length: seats }, (_, seat) => entryOf(mapping, seat)) : [];
  const counts = { expected: words[2] as number, delivered: words[3] as number, duplicates: words[4] as number };
  mapping.unmap();
  return { entries: entries.filter((entry) => entry !== undefined), counts };
}

function entryOf({ words, bytes }: Mapping, seat: number): RosterEntry | undefined {
  const at = HEADER_WORDS + seat * SEAT_WORDS;
  const doubles = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 3);
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
  };
}
