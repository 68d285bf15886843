/**
 * Starting programs with `posix_spawn`: close to what the kernel takes, where `Bun.spawn` adds half as much again
 * (ARCHITECTURE.md). Output files are opened by the child itself, so a host of thousands of agents holds no
 * descriptor for them. The buffers are module-wide and reused: everything here is synchronous.
 */
import { assert } from "../assert.ts";
import type { EnvironmentBlock } from "./environment.ts";
import { O, statPath } from "./file.ts";
import { cString, E, errorText, openLibc, pointerTo, types } from "./libc.ts";
import { findProgram, forgetPrograms } from "./lookup.ts";
import { listenForExits } from "./reap.ts";

export interface SpawnRequest {
  /** The program and its arguments; at least one. A name without a slash is looked up in the PATH the child will have. */
  readonly argv: readonly string[];
  /** The prepared common part (`environmentBlock`), made once per host. */
  readonly environment: EnvironmentBlock;
  /** Set over the common part. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Default: ours. */
  readonly cwd?: string;
  /** A path opened by the child for reading, or a descriptor of ours (0: inherited). */
  readonly stdin: string | number;
  /** A path that the child creates, empties and appends to, or a descriptor of ours (1 or 2: inherited). */
  readonly stdout: string | number;
  readonly stderr: string | number;
  /** `session`: own session and group, no terminal. `group`: own group, same session. `inherit`: ours. */
  readonly group: "session" | "group" | "inherit";
}

export type Spawned =
  | { readonly status: "started"; readonly pid: number }
  /** No such program: exit code 127. */
  | { readonly status: "not_found"; readonly detail: string }
  /** It is there and cannot be executed, or its directory or output file is not usable: exit code 126. */
  | { readonly status: "not_executable"; readonly detail: string }
  /** No process, memory or space to be had now: try again later. */
  | { readonly status: "busy"; readonly detail: string };

const { i32, ptr } = types;
const call = openLibc({
  posix_spawn: { args: [ptr, ptr, ptr, ptr, ptr, ptr], returns: i32 },
  posix_spawn_file_actions_init: { args: [ptr], returns: i32 },
  posix_spawn_file_actions_addopen: { args: [ptr, i32, ptr, i32, i32], returns: i32 },
  posix_spawn_file_actions_adddup2: { args: [ptr, i32, i32], returns: i32 },
  posix_spawn_file_actions_destroy: { args: [ptr], returns: i32 },
  posix_spawnattr_init: { args: [ptr], returns: i32 },
  posix_spawnattr_setflags: { args: [ptr, i32], returns: i32 },
  posix_spawnattr_setsigdefault: { args: [ptr, ptr], returns: i32 },
});

/** Only in glibc from 2.29 and in musl from 1.1.24, so opened only when a working directory is asked for. */
let directoryCall: { readonly posix_spawn_file_actions_addchdir_np: (...args: number[]) => number } | undefined;

// POSIX_SPAWN_SETPGROUP, _SETSIGDEF, _SETSIGMASK, _SETSID: the same in both C libraries.
const SIGNALS_CLEAN = 0x04 | 0x08;
const flagsOf = { inherit: SIGNALS_CLEAN, group: SIGNALS_CLEAN | 0x02, session: SIGNALS_CLEAN | 0x80 } as const;

/** Larger than the structures of either C library (336 and 80 bytes in glibc). */
const STRUCTURE_BYTES = 512;

function attributes(flags: number): Uint8Array {
  const memory = new Uint8Array(new ArrayBuffer(STRUCTURE_BYTES));
  // Bun ignores SIGPIPE; an agent that inherited that would never notice that its reader has gone.
  const every = new Uint8Array(new ArrayBuffer(128)).fill(0xff);
  call.posix_spawnattr_init(pointerTo(memory));
  call.posix_spawnattr_setsigdefault(pointerTo(memory), pointerTo(every));
  call.posix_spawnattr_setflags(pointerTo(memory), flags);
  return memory;
}

const prepared: { [group in SpawnRequest["group"]]?: Uint8Array } = {};
const actions = new Uint8Array(new ArrayBuffer(STRUCTURE_BYTES));
/** Taken anew at each spawn: that also keeps `actions` from being collected, which nothing else refers to. */
let actionsPointer = 0;
const childPid = new Int32Array(new ArrayBuffer(8));
const encoder = new TextEncoder();

/** Strings of the current spawn, one after the other. */
let text = new Uint8Array(new ArrayBuffer(64 * 1024));
let textPointer = pointerTo(text);
/** Their addresses, as pairs of 32-bit words: the argument list, a null, the environment, a null. */
let table = new Uint32Array(2048);
let entries = 0;

function reserve(textBytes: number, tableEntries: number): void {
  if (textBytes > text.length) {
    text = new Uint8Array(new ArrayBuffer(textBytes * 2));
    textPointer = pointerTo(text);
  }
  if (tableEntries * 2 > table.length) table = new Uint32Array(tableEntries * 4);
  entries = 0;
}

function list(address: number): void {
  table[entries * 2] = address >>> 0;
  table[entries * 2 + 1] = address / 0x1_0000_0000;
  entries++;
}

/** Fills `text` and `table`; returns where in the table the environment begins. */
function layOut(request: SpawnRequest, names: readonly string[]): number {
  const { argv, environment, variables = {} } = request;
  // One encoding for all strings: thousands of small ones would cost more than the spawn's other bookkeeping together.
  let strings = `${argv.join("\0")}\0`;
  for (const name of names) strings += `${name}=${variables[name]}\0`;
  // At most three bytes of UTF-8 for each UTF-16 unit.
  reserve(strings.length * 3, argv.length + names.length + environment.addresses.size + 2);
  encoder.encodeInto(strings, text);
  let at = 0;
  const listNext = (): void => {
    list(textPointer + at);
    at = text.indexOf(0, at) + 1;
  };
  for (let n = 0; n < argv.length; n++) listNext();
  list(0);
  const begin = entries;
  for (let n = 0; n < names.length; n++) listNext();
  if (names.some((name) => environment.addresses.has(name))) {
    for (const [name, address] of environment.addresses) if (!(name in variables)) list(address);
  } else {
    table.set(environment.table, entries * 2);
    entries += environment.addresses.size;
  }
  list(0);
  return begin;
}

function addStream(descriptor: number, target: string | number, flags: number): void {
  if (typeof target === "string") {
    call.posix_spawn_file_actions_addopen(actionsPointer, descriptor, cString(target), flags, 0o600);
  } else if (target !== descriptor) {
    call.posix_spawn_file_actions_adddup2(actionsPointer, target, descriptor);
  }
}

const OUTPUT_FLAGS = O.WRONLY | O.CREAT | O.TRUNC | O.APPEND;

/** False where the C library cannot do it. */
function addDirectory(cwd: string): boolean {
  try {
    directoryCall ??= openLibc({ posix_spawn_file_actions_addchdir_np: { args: [ptr, ptr], returns: i32 } });
  } catch {
    return false; // The caller names the missing feature.
  }
  return directoryCall.posix_spawn_file_actions_addchdir_np(actionsPointer, cString(cwd)) === 0;
}

const refused = (detail: string): Spawned => ({ status: "not_executable", detail });

/** Errors that pass by themselves when other processes end or space is freed. */
const PASSING: readonly number[] = [E.AGAIN, E.NOMEM, E.NFILE, E.MFILE, E.NOSPC, E.TXTBSY];

function explain(error: number, request: SpawnRequest, program: string): Spawned {
  const { argv, cwd } = request;
  const name = argv[0] as string;
  if (PASSING.includes(error)) {
    const remedy =
      error === E.AGAIN ? ": the limit of processes is reached (ulimit -u, or pids.max of the cgroup)" : "";
    return { status: "busy", detail: `cannot start ${name}: ${errorText(error)}${remedy}` };
  }
  if (cwd !== undefined && statPath(cwd, true)?.type !== "directory") return refused(`cwd is not a directory: ${cwd}`);
  if (error === E.NOENT || error === E.NOTDIR) {
    const seen = cwd !== undefined && !program.startsWith("/") ? `${cwd}/${program}` : program;
    if (statPath(seen, true) === undefined) return { status: "not_found", detail: `command not found: ${name}` };
    return {
      status: "not_found",
      detail: `cannot start ${program}: the interpreter that its first line names is not there`,
    };
  }
  if (error === E.TOOBIG) {
    return refused(
      `cannot start ${name}: the kernel takes at most 128 KiB for one argument or variable; give it as input`,
    );
  }
  if (error === E.NOEXEC)
    return refused(`cannot start ${program}: not a program; a script needs a first line like #!/bin/sh`);
  return refused(`cannot start ${program}: ${errorText(error)}`);
}

function attempt(request: SpawnRequest, program: string, environmentAt: number): number {
  actionsPointer = pointerTo(actions);
  call.posix_spawn_file_actions_init(actionsPointer);
  addStream(0, request.stdin, O.RDONLY);
  addStream(1, request.stdout, OUTPUT_FLAGS);
  addStream(2, request.stderr, OUTPUT_FLAGS);
  const placed = request.cwd === undefined || addDirectory(request.cwd);
  prepared[request.group] ??= attributes(flagsOf[request.group]);
  const addresses = pointerTo(table);
  const error = placed
    ? call.posix_spawn(
        pointerTo(childPid),
        cString(program),
        actionsPointer,
        pointerTo(prepared[request.group] as Uint8Array),
        addresses,
        addresses + environmentAt * 8,
      )
    : E.NOSYS;
  call.posix_spawn_file_actions_destroy(actionsPointer);
  return error;
}

/**
 * Starts a program with default signal handling and an empty signal mask. Give the pid to `watchChild` (reap.ts) in the
 * same turn of the loop.
 */
export function spawnProgram(request: SpawnRequest): Spawned {
  const { argv, cwd, environment, variables = {} } = request;
  const name = argv[0];
  assert(name !== undefined, "a program to start has a name");
  const names = Object.keys(variables);
  if (argv.some((argument) => argument.includes("\0")) || cwd?.includes("\0")) {
    return refused(`cannot start ${JSON.stringify(name)}: a NUL character in the command or its cwd`);
  }
  for (const variable of names) {
    if (variable === "" || variable.includes("=") || `${variable}${variables[variable]}`.includes("\0")) {
      return refused(`cannot start ${name}: ${JSON.stringify(variable)} is not usable as an environment variable`);
    }
  }
  listenForExits();
  const searchPath = variables["PATH"] ?? environment.variables["PATH"];
  const environmentAt = layOut(request, names);
  for (let tries = 0; ; tries++) {
    const program = findProgram(name, searchPath, cwd);
    if (program === undefined) return { status: "not_found", detail: `command not found: ${name}` };
    const error = attempt(request, program, environmentAt);
    if (error === 0) return { status: "started", pid: childPid[0] as number };
    if (error === E.NOENT && tries === 0) forgetPrograms();
    else if (error === E.NOSYS) return refused(`cannot start ${name} in ${cwd}: cwd needs glibc 2.29 or musl 1.1.24`);
    else return explain(error, request, program);
  }
}
