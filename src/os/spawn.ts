/**
 * Starting programs with `posix_spawn`: close to what the kernel takes, where `Bun.spawn` adds half as much again
 * (ARCHITECTURE.md). Output files are opened by the child itself, so a host of thousands of agents holds no
 * descriptor for them.
 */
import { assert } from "../assert.ts";
import type { EnvironmentBlock } from "./environment.ts";
import { closeFile, O, statPath } from "./file.ts";
import { cString, E, errorText, openLibc, pointerTo, types } from "./libc.ts";
import { findProgram, forgetPrograms } from "./lookup.ts";
import { memoryFile } from "./memfd.ts";
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
  /** A path opened by the child for reading, a descriptor of ours (0: inherited), or what it finds to read. */
  readonly stdin: string | number | { readonly text: string };
  /** A path that the child creates, empties and appends to, or a descriptor of ours (1 or 2: inherited). */
  readonly stdout: string | number;
  readonly stderr: string | number;
  /** A descriptor of ours that it holds too, as its 3: an open file, and a lock on it, last as long as anybody holds it. */
  readonly holds?: number;
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

const refused = (detail: string): Spawned => ({ status: "not_executable", detail });

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
const OUTPUT_FLAGS = O.WRONLY | O.CREAT | O.TRUNC | O.APPEND;
const encoder = new TextEncoder();

/**
 * The memory of one spawn: everything that `posix_spawn` is told, at addresses that stay. Used for one spawn after the
 * other: `fill`, call with the addresses, `release`.
 */
export class SpawnFrame {
  /** Addresses for `posix_spawn`, after `fill`. */
  program = 0;
  actions = 0;
  attributes = 0;
  argv = 0;
  environment = 0;
  readonly #actions = new Uint8Array(new ArrayBuffer(STRUCTURE_BYTES));
  /** The program's path, the arguments and the variables, one after the other. */
  #text = new Uint8Array(new ArrayBuffer(4096));
  /** The addresses of the latter, as pairs of 32-bit words: the argument list, a null, the environment, a null. */
  #table = new Uint32Array(new ArrayBuffer(2048));
  #entries = 0;
  #input = -1;

  /** Undefined if all is ready for the call; else why there is nothing to call, and nothing to release. */
  fill(request: SpawnRequest): Spawned | undefined {
    const { argv, cwd, variables = {}, stdin, stdout, stderr, group } = request;
    const name = argv[0];
    assert(name !== undefined, "a program to start has a name");
    const names = Object.keys(variables);
    if (argv.some((argument) => argument.includes("\0")) || cwd?.includes("\0")) {
      return refused(`cannot start ${JSON.stringify(name)}: a NUL character in the command or its cwd`);
    }
    for (const variable of names) {
      const value = variables[variable] as string;
      if (variable === "" || variable.includes("=") || variable.includes("\0") || value.includes("\0")) {
        return refused(`cannot start ${name}: ${JSON.stringify(variable)} is not usable as an environment variable`);
      }
    }
    const program = programOf(request);
    if (program === undefined) return { status: "not_found", detail: `command not found: ${name}` };
    if (typeof stdin === "object") {
      this.#input = memoryFile(stdin.text);
      if (this.#input < 0) return { status: "busy", detail: `cannot hold the input: ${errorText(-this.#input)}` };
    }
    this.#layOut(request, names, program);
    this.actions = pointerTo(this.#actions);
    call.posix_spawn_file_actions_init(this.actions);
    this.#addStream(0, typeof stdin === "object" ? this.#input : stdin, O.RDONLY);
    this.#addStream(1, stdout, OUTPUT_FLAGS);
    this.#addStream(2, stderr, OUTPUT_FLAGS);
    if (request.holds !== undefined) this.#addStream(3, request.holds, 0);
    if (cwd !== undefined && !this.#addDirectory(cwd)) {
      this.release();
      return refused(`cannot start ${name} in ${cwd}: cwd needs glibc 2.29 or musl 1.1.24`);
    }
    prepared[group] ??= attributes(flagsOf[group]);
    this.attributes = pointerTo(prepared[group] as Uint8Array);
    return undefined;
  }

  /** After the call. */
  release(): void {
    call.posix_spawn_file_actions_destroy(this.actions);
    if (this.#input >= 0) closeFile(this.#input);
    this.#input = -1;
  }

  #layOut({ argv, environment, variables = {} }: SpawnRequest, names: readonly string[], program: string): void {
    // One encoding for all strings: thousands of small ones would cost more than the spawn's other bookkeeping together.
    let strings = `${program}\0${argv.join("\0")}\0`;
    for (const name of names) strings += `${name}=${variables[name]}\0`;
    // At most three bytes of UTF-8 for each UTF-16 unit.
    this.#reserve(strings.length * 3, argv.length + names.length + environment.addresses.size + 2);
    encoder.encodeInto(strings, this.#text);
    this.program = pointerTo(this.#text);
    let at = this.#text.indexOf(0) + 1;
    for (let n = argv.length + names.length; n > 0; n--) {
      if (n === names.length) this.#list(0);
      this.#list(this.program + at);
      at = this.#text.indexOf(0, at) + 1;
    }
    if (names.length === 0) this.#list(0);
    this.argv = pointerTo(this.#table);
    this.environment = this.argv + (argv.length + 1) * 8;
    if (names.some((name) => environment.addresses.has(name))) {
      for (const [name, address] of environment.addresses) if (!(name in variables)) this.#list(address);
    } else {
      this.#table.set(environment.table, this.#entries * 2);
      this.#entries += environment.addresses.size;
    }
    this.#list(0);
  }

  #reserve(textBytes: number, entries: number): void {
    if (textBytes > this.#text.length) this.#text = new Uint8Array(new ArrayBuffer(textBytes * 2));
    if (entries * 2 > this.#table.length) this.#table = new Uint32Array(new ArrayBuffer(entries * 16));
    this.#entries = 0;
  }

  #list(address: number): void {
    this.#table[this.#entries * 2] = address >>> 0;
    this.#table[this.#entries * 2 + 1] = address / 0x1_0000_0000;
    this.#entries++;
  }

  #addStream(descriptor: number, target: string | number, flags: number): void {
    if (typeof target === "string") {
      call.posix_spawn_file_actions_addopen(this.actions, descriptor, cString(target), flags, 0o600);
    } else if (target !== descriptor) {
      call.posix_spawn_file_actions_adddup2(this.actions, target, descriptor);
    }
  }

  /** False where the C library cannot do it. */
  #addDirectory(cwd: string): boolean {
    try {
      directoryCall ??= openLibc({ posix_spawn_file_actions_addchdir_np: { args: [ptr, ptr], returns: i32 } });
    } catch {
      return false; // The caller names the missing feature.
    }
    return directoryCall.posix_spawn_file_actions_addchdir_np(this.actions, cString(cwd)) === 0;
  }
}

/** Errors that pass by themselves when other processes end or space is freed. */
const PASSING: readonly number[] = [E.AGAIN, E.NOMEM, E.NFILE, E.MFILE, E.NOSPC, E.TXTBSY];

function explain(error: number, request: SpawnRequest): Spawned {
  const { cwd } = request;
  const name = request.argv[0] as string;
  const program = programOf(request) ?? name;
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

const programOf = ({ argv, variables, environment, cwd }: SpawnRequest): string | undefined =>
  findProgram(argv[0] as string, variables?.["PATH"] ?? environment.variables["PATH"], cwd);

const here = new SpawnFrame();
const childPid = new Int32Array(new ArrayBuffer(8));

/**
 * Starts a program with default signal handling and an empty signal mask, and waits until it has executed. Give the pid to
 * `watchChild` (reap.ts) in the same turn of the loop.
 */
export function spawnProgram(request: SpawnRequest): Spawned {
  listenForExits();
  for (let tries = 0; ; tries++) {
    const refusal = here.fill(request);
    if (refusal !== undefined) return refusal;
    const { program, actions, attributes, argv, environment } = here;
    const error = call.posix_spawn(pointerTo(childPid), program, actions, attributes, argv, environment);
    here.release();
    if (error === 0) return { status: "started", pid: childPid[0] as number };
    if (error === E.NOENT && tries === 0) forgetPrograms();
    else return explain(error, request);
  }
}
