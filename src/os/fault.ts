/**
 * Faults on demand, for tests: named places at which the process dies, stops, or is told that there is no space.
 *
 * The product names its crash points and allocations as `globalThis.crashPoint?.("append.linked")` and
 * `globalThis.outOfSpace?.("mkdir")`, and imports nothing for it. The shipped build drops these calls with their arguments
 * (`drop` in `scripts/build.ts`) and never loads this file; a fault build loads it first, and so does
 * `bun --preload ./src/os/fault.ts …`. Where it is not loaded, nothing is installed and nothing happens.
 *
 * `CFN_FAULT=[<command>/]<point>:<action>[:<n>]` acts at the n-th pass (default 1) of that point, in that command only if one
 * is named (`coordinator/member.bye:kill`). `kill` and `stop`: SIGKILL and SIGSTOP to itself. `nospace`: the next allocation
 * fails with ENOSPC, once; `full`: all further ones do. `throw`: an error that no code expects, as a bug of ours would be.
 *
 * `CFN_FAULT_MARK=<path>`: whoever acts creates this file with its pid in it, and whoever finds it there does not act: so one
 * process of many does, once. A refused allocation leaves `<path>.refused`, with the call's name.
 */
import { statPath } from "./file.ts";
import { cString, libc, pointerTo } from "./libc.ts";

/** All crash points: where the product says `crashPoint`, and nowhere else. */
export const crashPoints = [
  // A message: checks are done, the index is dirty, there is room, the record, its links and counts.
  "append.checked",
  "append.dirty",
  "append.reserved",
  "record.begun",
  "record.filled",
  "record.uncommitted",
  "record.committed",
  "append.written",
  "append.linked",
  "append.tail_moved",
  "append.counted",
  "append.numbered",
  "append.deep",
  "append.clean",
  "send.unlocked",
  "send.rung",
  // Many messages at once.
  "batch.encoded",
  "batch.locked",
  "batch.between",
  "batch.unlocked",
  "batch.rung",
  // A sender that has waited for room for a while says for whom.
  "wait.begun",
  "wait.written",
  // A new tail segment.
  "rotate.begun",
  "reserve.created",
  "reserve.allocated",
  "rotate.spare_made",
  "rotate.made",
  "rotate.counted",
  "rotate.mapped",
  "rotate.headed",
  "rotate.listed",
  "rotate.tail_moved",
  // A segment given back.
  "retire.begun",
  "retire.zeroed",
  "retire.renamed",
  "retire.kept",
  "retire.unlinked",
  "retire.unlisted",
  // Unread messages moved forward.
  "move.begun",
  "move.copied",
  "move.relinked",
  "move.marked",
  "move.counted",
  // The table of senders' numbers.
  "pairs.created",
  "pairs.allocated",
  "pairs.first",
  "pairs.copied",
  "pairs.named",
  "pairs.grown",
  "pairs.half",
  // Reading, handing over, taking.
  "deliver.marked",
  "deliver.unlocked",
  "take.begun",
  "take.dirty",
  "take.marked",
  "take.head_moved",
  "take.shallow",
  "take.counted",
  "take.unlocked",
  // Large bodies, and whatever else is a file replaced whole.
  "blob.begun",
  "blob.stored",
  "blob.undropped",
  "blob.dropped",
  "replace.created",
  "replace.written",
  // A shard's index made anew.
  "rebuild.begun",
  "rebuild.adopted",
  "rebuild.cleared",
  "rebuild.scanned",
  "rebuild.linking",
  "rebuild.relinked",
  "rebuild.pairs_mended",
  "rebuild.slots_mended",
  "rebuild.settled",
  "rebuild.sealed",
  // What was damaged is kept.
  "keep.created",
  "keep.kept",
  // Agents on the bus.
  "register.begun",
  "register.allocated",
  "register.stated",
  "register.clean",
  "slot.counted",
  "slot.emptied",
  "index.begun",
  "index.allocated",
  "index.grown",
  "vacate.dirty",
  "vacate.stated",
  "vacate.clean",
  "bell.made",
  "bell.hung",
  "bell.closing",
  // What the dead left.
  "sweep.listed",
  "sweep.vacated",
  "sweep.shard_done",
  "sweep.unstated",
  "sweep.blob_gone",
  "sweep.bell_gone",
  "sweep.dead_bus",
  // The end of a bus's data messages.
  "closing.shard_done",
  "drain.closed",
  "drain.kept",
  "drain.taken",
  // A bus from its making to its end.
  "create.hidden",
  "create.parts",
  "shard.locks_made",
  "shard.index_allocated",
  "create.shard_made",
  "create.built",
  "create.owned",
  "create.shown",
  "destroy.begun",
  "destroy.hidden",
  "destroy.removed",
  // A host, and the agents it starts.
  "host.registered",
  "host.open",
  "seat.leased",
  "seat.open",
  "task.read",
  "task.assigned",
  "spawn.begun",
  "spawn.started",
  "spawn.filled",
  "spawn.submitted",
  "spawn.watched",
  "exit.seen",
  "exit.told",
  "exit.reaped",
  "result.made",
  "result.sending",
  "result.sent",
  "result.settled",
  "shutdown.stopping",
  "shutdown.closed",
  "leave.released",
  "leave.unregistered",
  "home.swept",
  "home.unclaimed",
  // A run and its coordinators.
  "mail.handled",
  "post.sent",
  "run.over",
  "run.ended",
  "hybrid.started",
  "hybrid.stopping",
  "hybrid.ending",
  "member.registered",
  "member.open",
  "member.handled",
  "member.passing",
  "member.stopping",
  "member.closed",
  "member.bye",
  "member.left",
  // What each seat runs, for who takes over from a coordinator that died; and that.
  "roster.made",
  "roster.said_launching",
  "roster.said_running",
  "roster.said_ended",
  "takeover.begun",
  "takeover.emptied",
  "takeover.adopting",
  "takeover.adopted",
  "takeover.done",
  // The journal of a run.
  "journal.begun",
  "journal.writing",
  "journal.written",
  "journal.ending",
  "journal.ended",
] as const;

export type CrashPoint = (typeof crashPoints)[number];

/** Calls that take space; `write` counts where it goes to a regular file. */
type AllocatingCall = "open" | "write" | "fallocate" | "mkfifo" | "symlink" | "mkdir" | "memfd" | "spawn";

declare global {
  var crashPoint: ((point: CrashPoint) => void) | undefined;
  /** `detail`: the flags of an `open`, the descriptor of a `write`. True: answer ENOSPC. */
  var outOfSpace: ((call: AllocatingCall, detail?: number) => boolean) | undefined;
}

const actions = ["kill", "stop", "nospace", "full", "throw"] as const;

interface Fault {
  readonly point: string;
  readonly action: (typeof actions)[number];
  left: number;
}

const SIGKILL = 9;
const SIGSTOP = 19;
const WRONLY_CREAT_EXCL_CLOEXEC = 0o1 | 0o100 | 0o200 | 0o2000000;
const CREAT = 0o100;

/** Undefined where the fault is another command's. Throws for what is no fault: a misspelt one must not pass for a survived one. */
function parse(text: string): Fault | undefined {
  const [, command, point, action, n] = /^(?:([a-z]+)\/)?([a-z_]+\.[a-z_]+):([a-z]+)(?::(\d+))?$/.exec(text) ?? [];
  const known = crashPoints.find((name) => name === point);
  const does = actions.find((name) => name === action);
  if (known === undefined || does === undefined) throw new Error(`CFN_FAULT is "${text}": no such point or action`);
  if (command !== undefined && command !== process.argv[2]) return undefined;
  return { point: known, action: does, left: Number(n ?? 1) };
}

const encoder = new TextEncoder();

/** True if the file is new. */
function leave(path: string, text: string): boolean {
  const fd = libc.open(cString(path), WRONLY_CREAT_EXCL_CLOEXEC, 0o600);
  if (fd < 0) return false;
  const bytes = encoder.encode(text);
  libc.write(fd, pointerTo(bytes), bytes.length);
  libc.close(fd);
  return true;
}

/** Installs what the environment asks for; nothing where it asks for nothing. */
function install(text: string | undefined, mark: string | undefined): void {
  const fault = text === undefined || text === "" ? undefined : parse(text);
  if (fault === undefined) return;
  let refusals = 0;

  globalThis.crashPoint = (point) => {
    if (point !== fault.point || --fault.left !== 0) return;
    if (mark !== undefined && !leave(mark, `${process.pid}`)) return;
    if (fault.action === "nospace") refusals = 1;
    else if (fault.action === "full") refusals = Number.POSITIVE_INFINITY;
    else if (fault.action === "throw") throw new Error(`a fault at ${point}`);
    else libc.kill(process.pid, fault.action === "kill" ? SIGKILL : SIGSTOP);
  };
  globalThis.outOfSpace = (call, detail = 0) => {
    if (refusals === 0) return false;
    if (call === "open" && (detail & CREAT) === 0) return false;
    if (call === "write" && statPath(`/proc/self/fd/${detail}`, true)?.type !== "file") return false;
    refusals--;
    if (mark !== undefined) leave(`${mark}.refused`, call);
    return true;
  };
}

install(process.env["CFN_FAULT"], process.env["CFN_FAULT_MARK"]);
