/**
 * The program under test: the bus's own source, woven (`weave.ts`), with `src/os` replaced by `system.ts` and the bounds of
 * `src/limits.ts` scaled down so that a few messages fill a segment, a few segments the bus. Nothing in `src/` knows of it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Bus, Lease } from "../../src/bus/contract.ts";
import type * as layout from "../../src/bus/layout.ts";
import type { Shard } from "../../src/bus/shard.ts";
import { repositoryRoot } from "../support/binary.ts";
import type { Kernel } from "./kernel.ts";
import type { Steps } from "./steps.ts";
import { parseAll, plainOf, weave, wovenOf } from "./weave.ts";

/** Bounds that the simulated bus has instead of the real ones. The relations asserted in `src/limits.ts` still hold. */
export const scaled = {
  payloadBytes: 2048,
  batchLineBytes: 4096,
  segmentBytes: 1024,
  segmentBytesSmall: 1024,
  segmentsPerShard: 24,
  recordBytes: 256,
  inboxMessages: 6,
  controlMessages: 9,
  inboxBytes: 4608,
  busBytesLeast: 1024,
  agentsPerShard: 5,
  slotsPerGrowth: 2,
  pairsInitial: 4,
  pairsPerShard: 16,
  lockStoppedHolderMs: 5,
  pollMs: 5,
  taskBytes: 1024,
  taskInputBytes: 512,
} as const;

type Woven<T> = { [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Steps<R> : T[K] };
export type WovenLease = Woven<Lease>;
export type WovenBus = Omit<Woven<Bus>, "lease" | "leaseAll" | "readAll" | "ackAll"> & {
  lease(...args: Parameters<Bus["lease"]>): Steps<WovenLease | undefined>;
  leaseAll(...args: Parameters<Bus["leaseAll"]>): Steps<(WovenLease | undefined)[]>;
  ackAll(leases: readonly WovenLease[], counts: readonly number[]): Steps<readonly number[]>;
  readAll(leases: readonly WovenLease[], max: number): Steps<ReturnType<Bus["readAll"]>>;
  /** Private in the source. */
  shard(n: number): Steps<Shard>;
};

/** What one simulated process has loaded. */
export interface Program {
  openBus(dir: string): WovenBus;
  createBus(dir: string, options: { shards?: number; busBytes?: number }): Steps<void>;
  withShard<T>(shard: Shard, change: () => Steps<T>): Steps<T>;
  rebuildShard(shard: Shard): Steps<void>;
  countFaults(shard: Shard): number;
  arePairsSound(shard: Shard): Steps<boolean>;
  isHeaderSealed(words: Uint32Array): boolean;
  dirty(shard: Shard): Steps<void>;
  clean(shard: Shard): Steps<void>;
  readonly layout: typeof layout;
}

const read = (path: string): string => readFileSync(resolve(repositoryRoot, path), "utf8");

/** A deliberate fault: `from` stands exactly once in the file and becomes `to`. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export function mutate(text: string, { file, from, to }: Mutation): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}

function scaledLimits(): string {
  let text = read("src/limits.ts");
  for (const [name, value] of Object.entries(scaled)) {
    const changed = text.replace(new RegExp(`^  ${name}: .*,$`, "m"), `  ${name}: ${value},`);
    if (changed === text) throw new Error(`src/limits.ts has no ${name}`);
    text = changed;
  }
  return text;
}

/** Files in the bus's directory that no call of `Bus` comes to: a coordinator's own memory. */
const beside: ReadonlySet<string> = new Set(["roster.ts", "board.ts"]);

/** A crash point, which the shipped binary does not have either. */
const crashPoint = /^ *globalThis\.crashPoint\?\.\(.*\);\n/gm;

/** The bus's files as they are shipped. */
export function busFiles(): Map<string, string> {
  const names = readdirSync(resolve(repositoryRoot, "src/bus")).filter(
    (name) => name.endsWith(".ts") && !beside.has(name),
  );
  return new Map(names.map((name) => [name, read(`src/bus/${name}`).replaceAll(crashPoint, "")]));
}

/**
 * Builds the real program ("") and one for each mutant, by name.
 *
 * @throws Error where a mutation does not fit the source, or the source has a construct that the weaver does not know.
 */
export async function buildAll(mutants: ReadonlyMap<string, readonly Mutation[]>): Promise<Map<string, string>> {
  const files = busFiles();
  const all = new Map([...files].map(([name, text]) => [`real/${name}`, text]));
  for (const [mutant, mutations] of mutants) {
    const changed = new Map<string, string>();
    for (const mutation of mutations) {
      const text = changed.get(mutation.file) ?? files.get(mutation.file) ?? "";
      changed.set(mutation.file, mutate(text, mutation));
    }
    for (const [name, text] of changed) all.set(`${mutant}/${name}`, text);
  }
  const parsed = await parseAll(all);
  const programs = new Map<string, string>();
  for (const mutant of ["real", ...mutants.keys()]) {
    const sources = [...files.keys()].map((name) => {
      const source = parsed.get(`${mutant}/${name}`) ?? parsed.get(`real/${name}`);
      if (source === undefined) throw new Error(name);
      return { ...source, path: name };
    });
    const marked = weave(sources);
    if (mutant === "real") {
      for (const [name, text] of marked)
        if (plainOf(text) !== files.get(name)) throw new Error(`weaving has changed ${name}`);
    }
    programs.set(mutant, await bundle(marked));
  }
  return programs;
}

async function bundle(marked: ReadonlyMap<string, string>): Promise<string> {
  const built = await Bun.build({
    entrypoints: [resolve(import.meta.dir, "program.ts")],
    target: "bun",
    format: "cjs",
    plugins: [
      {
        name: "simulated",
        setup(build) {
          build.onResolve({ filter: /\/os\/[a-z]+\.ts$/ }, () => ({ path: resolve(import.meta.dir, "system.ts") }));
          build.onLoad({ filter: /\/src\/bus\/[a-z]+\.ts$/ }, ({ path }) => ({
            contents: wovenOf(marked.get(path.slice(path.lastIndexOf("/") + 1)) as string),
            loader: "ts",
          }));
          build.onLoad({ filter: /\/src\/limits\.ts$/ }, () => ({ contents: scaledLimits(), loader: "ts" }));
        },
      },
    ],
  });
  const [output] = built.outputs;
  if (!built.success || output === undefined) throw new Error(`the bundle fails: ${built.logs.join("; ")}`);
  return output.text();
}

const prototype = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())) as object;
Object.defineProperty(prototype, "$steps", { value: true });

/** The program's code, to be loaded by any number of processes: they share what the compiler makes of it. */
export type Code = (kernel: Kernel, pid: number) => Program;

export function compile(text: string): Code {
  const call = text.slice(text.indexOf("(function")).trim().replace(/;$/, "");
  const evaluate = new Function("module", "process", "$k", `${call}(module.exports, undefined, module, "", "");`);
  return (kernel, pid) => {
    const module = { exports: {} };
    evaluate(module, { pid, arch: "x64", env: {} }, kernel);
    return module.exports as Program;
  };
}
