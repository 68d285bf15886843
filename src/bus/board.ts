/**
 * How far a run is, on shared memory, for whoever looks on: the file `<bus>/board`, written by the master alone and asked of
 * nobody. All of it are doubles, but for the first four words: magic, version, and a count that is odd while several of the numbers
 * are being changed together: a reader tries again then, a few times; a master that was stopped just there is read as it is.
 *
 * From byte 16 on: the numbers by `fields`, from 512 on whether each coordinator takes tasks (64), from 1024 and 1280 on how
 * many tasks and results have waited at most `waitBucketsMs` (not cumulative), and the sum of their milliseconds.
 */
import { allocateFile, closeFile, fileSize, O, openFile } from "../os/file.ts";
import { type Mapping, mapFile } from "../os/mapping.ts";

const MAGIC = 0x424e_4643; // "CFNB"
const VERSION = 1;
const BYTES = 4096;
const FIELDS_AT = 2;
const READY_AT = 64;
const WAITS_AT = { task: 128, result: 160 } as const;
const READ_TRIES = 8;

export const runPhases = ["starting", "running", "draining", "stopping", "over"] as const;
export type RunPhase = (typeof runPhases)[number];

const fields = [
  /** When the master's loop turned last: ms of the machine's clock. */
  "beat_at",
  "pid",
  "start_ticks",
  "pid_namespace",
  /** Index in `runPhases`. */
  "phase",
  /** Unix seconds. */
  "started_at",
  "elapsed_ms",
  "hybrid",
  "coordinators",
  "workers",
  "tasks_read",
  /** -1 while the list has not been read to its end. */
  "tasks_total",
  "completed",
  "failed",
  "timed_out",
  "cancelled",
  "retried",
  /** With a coordinator now. */
  "active",
  /** Results that an earlier execution of the run had. */
  "earlier",
  "mesh_expected",
  "mesh_delivered",
  "mesh_duplicates",
  "mesh_withdrawn",
  "hierarchical_expected",
  "hierarchical_delivered",
  "hierarchical_duplicates",
  "hierarchical_withdrawn",
  "failovers",
  /** What the run counts as stopped, and as stalled. */
  "stopped_after_ms",
  "stalled_after_ms",
] as const;
type BoardField = (typeof fields)[number];
type BoardNumbers = Readonly<Record<BoardField, number>>;

export const waitBucketsMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

interface WaitCounts {
  /** By `waitBucketsMs`, and those beyond. */
  readonly counts: readonly number[];
  readonly sumMs: number;
}

export interface BoardRead extends BoardNumbers {
  /** Whether the n-th coordinator takes tasks. */
  readonly ready: readonly boolean[];
  /** What tasks waited to be started, and results to be counted. */
  readonly waits: { readonly task: WaitCounts; readonly result: WaitCounts };
}

const doublesOf = ({ bytes }: Mapping): Float64Array =>
  new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 3);

/** The writing side. */
class Board {
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;

  constructor(mapping: Mapping) {
    this.#words = mapping.words;
    this.#doubles = doublesOf(mapping);
  }

  set(numbers: Partial<BoardNumbers>): void {
    Atomics.add(this.#words, 2, 1);
    fields.forEach((field, n) => {
      const value = numbers[field];
      if (value !== undefined) this.#doubles[FIELDS_AT + n] = value;
    });
    Atomics.add(this.#words, 2, 1);
  }

  /** `now` is ms of the machine's clock. */
  beat(now: number): void {
    this.#doubles[FIELDS_AT] = now;
  }

  /** Whether the n-th coordinator takes tasks. */
  ready(coordinator: number, takes: boolean): void {
    this.#doubles[READY_AT + coordinator] = takes ? 1 : 0;
  }

  waited(what: "task" | "result", ms: number): void {
    let bucket = 0;
    while (bucket < waitBucketsMs.length && ms > (waitBucketsMs[bucket] as number)) bucket++;
    const at = WAITS_AT[what];
    (this.#doubles[at + bucket] as number)++;
    (this.#doubles[at + waitBucketsMs.length + 1] as number) += Math.max(0, ms);
  }
}

const pathOf = (busDir: string): string => `${busDir}/board`;

/** Numbers that are not given are 0. Undefined where the bus directory has no room for it. */
export function makeBoard(busDir: string, numbers: Partial<BoardNumbers>): Board | undefined {
  const fd = openFile(pathOf(busDir), O.RDWR | O.CREAT | O.EXCL);
  const mapping = fd >= 0 && allocateFile(fd, BYTES) >= 0 ? mapFile(fd, BYTES) : undefined;
  if (fd >= 0) closeFile(fd);
  if (mapping === undefined) return undefined;
  const board = new Board(mapping);
  board.set(numbers);
  mapping.words[1] = VERSION;
  Atomics.store(mapping.words, 0, MAGIC);
  return board;
}

/** Undefined if there is none, or none of this version. */
export function readBoard(busDir: string): BoardRead | undefined {
  const fd = openFile(pathOf(busDir), O.RDWR);
  if (fd < 0) return undefined;
  const mapping = fileSize(fd) >= BYTES ? mapFile(fd, BYTES) : undefined;
  closeFile(fd);
  if (mapping === undefined) return undefined;
  try {
    if (Atomics.load(mapping.words, 0) !== MAGIC || mapping.words[1] !== VERSION) return undefined;
    return boardIn(copyOf(mapping));
  } finally {
    mapping.unmap();
  }
}

function copyOf(mapping: Mapping): Float64Array {
  for (let left = READ_TRIES; ; left--) {
    const before = Atomics.load(mapping.words, 2);
    const copy = doublesOf(mapping).slice();
    if (left === 0 || (before % 2 === 0 && Atomics.load(mapping.words, 2) === before)) return copy;
  }
}

function boardIn(doubles: Float64Array): BoardRead {
  const numbers = Object.fromEntries(fields.map((field, n) => [field, doubles[FIELDS_AT + n] as number]));
  const waitsAt = (at: number): WaitCounts => ({
    counts: [...doubles.slice(at, at + waitBucketsMs.length + 1)],
    sumMs: doubles[at + waitBucketsMs.length + 1] as number,
  });
  const coordinators = Math.min(64, numbers["coordinators"] as number);
  return {
    ...(numbers as BoardNumbers),
    ready: [...doubles.slice(READY_AT, READY_AT + coordinators)].map((takes) => takes === 1),
    waits: { task: waitsAt(WAITS_AT.task), result: waitsAt(WAITS_AT.result) },
  };
}
