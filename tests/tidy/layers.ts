/** The rules on what a layer may import and touch. */
import { dirname, join, normalize } from "node:path";
import type { Facts } from "./facts.ts";

export interface Repository {
  /** Path → text of every tracked text file. */
  readonly files: ReadonlyMap<string, string>;
  /** What the TypeScript files among them hold. */
  readonly facts: readonly Facts[];
}

/** A sentence, and what breaks it: one line per violation, as in "src/a.ts:3 says any". */
export interface Rule {
  readonly sentence: string;
  readonly check: (repository: Repository) => string[];
}

/**
 * The import table: a layer imports itself and those named here, nothing else. Layers are folders; `base` is the files
 * directly in src/. A role (coordinator, agent) never imports its sibling.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  message: ["base"],
  os: ["base"],
  bus: ["message", "os", "base"],
  config: ["message", "os", "base"],
  agent: ["bus", "message", "os", "base"],
  coordinator: ["bus", "message", "os", "base"],
  chaos: ["bus", "message", "os", "base"],
  observe: ["bus", "message", "os", "base"],
  serve: ["observe", "metrics", "bus", "message", "os", "base"],
  metrics: ["message", "os", "base"],
  alerts: ["message", "os", "base"],
  // It is no role: it judges a machine by what a run would ask of it.
  doctor: ["coordinator", "bus", "message", "os", "base"],
  cmd: [
    "doctor",
    "alerts",
    "config",
    "serve",
    "observe",
    "metrics",
    "chaos",
    "coordinator",
    "agent",
    "bus",
    "message",
    "os",
    "base",
  ],
};

/** The files of bus/ that the layers above may import: the others are how it works inside. */
const doors = ["contract", "bus", "directory", "creation", "removal", "roster", "board", "waits"];
const busDoors = doors.map((name) => `src/bus/${name}.ts`);

/** Packages, and the layers that may load them. */
const packages: Readonly<Record<string, readonly string[]>> = {
  citty: ["cmd"],
  consola: ["cmd"],
  "fastest-levenshtein": ["message"],
  valibot: ["config", "coordinator", "message", "metrics"],
  "@valibot/to-json-schema": ["config"],
};

/** What Bun offers that computes and touches nothing outside the process. */
const pureBun = ["hash", "CryptoHasher", "YAML", "stringWidth", "stripANSI", "deepEquals", "escapeHTML", "Glob"];

function layerOf(path: string): string | undefined {
  if (path.startsWith("cmd/")) return "cmd";
  if (!path.startsWith("src/")) return undefined;
  const parts = path.split("/");
  return parts.length === 2 ? "base" : parts[1];
}

/** The product's own files: what the binary is made of. */
export const isProduct = (path: string): boolean => layerOf(path) !== undefined;

/** The path that a relative specifier names; undefined for packages and built-in modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : undefined;
}

/** Checks each product file by itself. */
const perProductFile = (check: (facts: Facts, layer: string) => string[]): Rule["check"] => {
  return ({ facts }) =>
    facts.flatMap((file) => {
      const layer = layerOf(file.path);
      return layer === undefined ? [] : check(file, layer);
    });
};

function checkImport(file: Facts, layer: string, specifier: string): string | undefined {
  const target = resolveImport(file.path, specifier);
  if (target === undefined) return undefined;
  const targetLayer = layerOf(target);
  if (targetLayer === undefined) {
    return target === "package.json" && layer === "cmd" ? undefined : "outside src/ and cmd/";
  }
  if (targetLayer === layer) return undefined;
  const allowed = mayImport[layer];
  if (allowed === undefined) return `${layer} has no line in the import table`;
  if (!allowed.includes(targetLayer)) return `${layer} may not import ${targetLayer}`;
  if (targetLayer === "bus" && !busDoors.includes(target)) return `inside bus/; its doors are ${busDoors.join(", ")}`;
  return undefined;
}

const importTable: Rule = {
  sentence: "Imports run downwards, by the import table",
  check: perProductFile((file, layer) =>
    file.imports.flatMap(({ specifier, line }) => {
      const problem = checkImport(file, layer, specifier);
      return problem === undefined ? [] : [`${file.path}:${line} imports ${specifier}: ${problem}`];
    }),
  ),
};

const knownFolders: Rule = {
  sentence: "Every folder of src/ has a line in the import table",
  check: perProductFile((file, layer) =>
    layer in mayImport ? [] : [`${file.path}: there is no layer ${layer} in the import table`],
  ),
};

const operatingSystem: Rule = {
  sentence: "Only src/os imports node:* or bun:* modules",
  check: perProductFile((file, layer) =>
    file.imports
      .filter(({ specifier }) =>
        /^(node|bun):|^(bun|fs|path|os|child_process|crypto|events|stream|util)$/.test(specifier),
      )
      .filter(() => layer !== "os")
      .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}`),
  ),
};

const bunEffects: Rule = {
  sentence: "Only src/os uses what Bun offers beyond pure functions",
  check: perProductFile((file, layer) =>
    file.accesses
      .filter(({ object, property }) => object === "Bun" && !pureBun.includes(property) && layer !== "os")
      .map(({ property, line }) => `${file.path}:${line} uses Bun.${property}`),
  ),
};

/** "consola" of "consola/core", "@a/b" of "@a/b/c". */
const packageOf = (specifier: string): string => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;

const packageTable: Rule = {
  sentence: "A package is imported only where the table of packages allows it",
  check: perProductFile((file, layer) =>
    file.imports
      .filter(({ specifier }) => !specifier.startsWith(".") && !/^(node|bun):/.test(specifier))
      .filter(({ specifier }) => packages[packageOf(specifier)]?.includes(layer) !== true)
      .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}`),
  ),
};

/** Started once per message, by the hundred: what they load is what they cost. */
const messageCommands = ["send", "recv", "ask", "reply", "agents"];

const quickStart: Rule = {
  sentence: "A message command loads no package, no node:* or bun:* module and no standard stream at its start",
  check: ({ facts }) => {
    const byPath = new Map(facts.map((file) => [file.path, file]));
    const problems: string[] = [];
    const seen = new Set<string>();
    const walk = (path: string): void => {
      const file = byPath.get(path);
      if (file === undefined || seen.has(path)) return;
      seen.add(path);
      for (const { specifier, loads, line } of file.imports) {
        if (!loads) continue;
        const target = resolveImport(path, specifier);
        if (target === undefined) problems.push(`${path}:${line} imports ${specifier}`);
        else walk(target);
      }
      for (const { object, property, line } of file.accesses) {
        if (object === "process" && /^std(in|out|err)$/.test(property))
          problems.push(`${path}:${line} uses process.${property}`);
      }
    };
    for (const entry of ["cfn", ...messageCommands]) walk(`cmd/${entry}.ts`);
    return problems;
  },
};

const exits: Rule = {
  sentence: "Only cmd/ ends the process",
  check: perProductFile((file, layer) =>
    file.accesses
      .filter(({ object, property }) => object === "process" && /^(exit|reallyExit|abort|exitCode)$/.test(property))
      .filter(() => layer !== "cmd")
      .map(({ property, line }) => `${file.path}:${line} uses process.${property}`),
  ),
};

const randomness: Rule = {
  sentence: "Randomness comes from src/os, or from a seed",
  check: ({ facts }) =>
    facts.flatMap((file) => [
      ...file.accesses
        .filter(({ object, property }) => {
          if (object === "Math") return property === "random" || property === "*";
          return object === "crypto" && /^(random|getRandomValues|\*)/.test(property);
        })
        .filter(() => layerOf(file.path) !== "os")
        .map(({ object, property, line }) => `${file.path}:${line} uses ${object}.${property}`),
      ...file.imports
        .filter(({ specifier, names }) => {
          return /^(node:)?crypto$/.test(specifier) && names.some((name) => /^(random|getRandom|\*)/.test(name));
        })
        .map(({ specifier, line }) => `${file.path}:${line} imports randomness from ${specifier}`),
    ]),
};
export const layerRules: readonly Rule[] = [
  importTable,
  knownFolders,
  operatingSystem,
  bunEffects,
  packageTable,
  quickStart,
  exits,
  randomness,
];
