/**
 * The rules that every file of the repository keeps. Each is a sentence and a function from the files to what breaks it,
 * one line per violation as in "src/a.ts:3 says what". `tests/tidy.test.ts` holds samples that each of them must catch.
 */
import { dirname, join, normalize } from "node:path";
import type { Facts } from "./facts.ts";

export interface Repository {
  /** Path → text of every tracked text file. */
  readonly files: ReadonlyMap<string, string>;
  /** What the TypeScript files among them hold. */
  readonly facts: readonly Facts[];
}

interface Rule {
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
  agent: ["bus", "message", "os", "base"],
  coordinator: ["bus", "message", "os", "base"],
  cmd: ["coordinator", "agent", "bus", "message", "os", "base"],
};

/** The files of bus/ that the layers above may import: the others are how it works inside. */
const busDoors = ["src/bus/contract.ts", "src/bus/bus.ts", "src/bus/directory.ts"];

/** Packages, and the layers that may load them. */
const packages: Readonly<Record<string, readonly string[]>> = {
  citty: ["cmd"],
  consola: ["cmd"],
  "fastest-levenshtein": ["cmd"],
  valibot: ["cmd", "coordinator", "message"],
};

/** What Bun offers that computes and touches nothing outside the process. */
const pureBun = ["hash", "CryptoHasher", "YAML", "stringWidth", "stripANSI", "deepEquals", "escapeHTML", "Glob"];

const bannedWords =
  "manager|helper|helpers|util|utils|utility|common|misc|enhanced|optimized|improved|simple|unified|advanced|ultra|new|fixed|old|final|stub|mock";

function layerOf(path: string): string | undefined {
  if (path.startsWith("cmd/")) return "cmd";
  if (!path.startsWith("src/")) return undefined;
  const parts = path.split("/");
  return parts.length === 2 ? "base" : parts[1];
}

/** The product's own files: what the binary is made of. */
const isProduct = (path: string): boolean => layerOf(path) !== undefined;

const isTest = (path: string): boolean => path.endsWith(".test.ts");

/** The path that a relative specifier names; undefined for packages and built-in modules. */
function resolveImport(from: string, specifier: string): string | undefined {
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

const noAny: Rule = {
  sentence: "Nothing has the type any",
  check: ({ facts }) => facts.flatMap((file) => file.anyLines.map((line) => `${file.path}:${line} says any`)),
};

const emptyCatches: Rule = {
  sentence: "No error is dropped without a reason",
  check: ({ facts }) =>
    facts.flatMap((file) => file.emptyCatchLines.map((line) => `${file.path}:${line} has an empty catch`)),
};

const fileNames: Rule = {
  sentence: "A file's name says what it is in the field's own words",
  check: ({ files }) =>
    [...files.keys()].flatMap((path) => {
      const words = path
        .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
        .toLowerCase()
        .split(/[^a-z0-9]+/);
      const banned = words.find((word) => new RegExp(`^(${bannedWords}|v[0-9]+)$`).test(word));
      return banned === undefined ? [] : [`${path}: "${banned}" says nothing`];
    }),
};

/** Whether a file's name stands in a string of another file: programs that tests and benchmarks start by path. */
function isNamed(path: string, repository: Repository): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return repository.facts.some((file) => file.path !== path && file.strings.some((text) => text.includes(name)));
}

const reached: Rule = {
  sentence:
    "Every file of src/ and cmd/ is reached from cmd/cfn.ts, and every other one is imported or started by somebody",
  check: (repository) => {
    const byPath = new Map(repository.facts.map((file) => [file.path, file]));
    const seen = new Set<string>();
    const walk = (path: string): void => {
      const file = byPath.get(path);
      if (file === undefined || seen.has(path)) return;
      seen.add(path);
      for (const { specifier } of file.imports) walk(resolveImport(path, specifier) ?? "");
    };
    walk("cmd/cfn.ts");
    const unreached = repository.facts.filter((file) => isProduct(file.path) && !seen.has(file.path));
    const imported = new Set(
      repository.facts.flatMap((file) => file.imports.map(({ specifier }) => resolveImport(file.path, specifier))),
    );
    const scripts = repository.files.get("package.json") ?? "";
    const unused = repository.facts.filter(({ path }) => {
      const isEntry = isProduct(path) || isTest(path) || path.endsWith(".bench.ts") || scripts.includes(path);
      return !isEntry && !imported.has(path) && !isNamed(path, repository);
    });
    return [...unreached, ...unused].map((file) => `${file.path}: nobody imports it`);
  },
};

const exportedOnce: Rule = {
  sentence: "An exported name stands once",
  check: ({ facts }) => {
    const places = new Map<string, string[]>();
    for (const { path, exports } of facts.filter((file) => isProduct(file.path))) {
      for (const { name, line } of exports) {
        if (name !== "default") places.set(name, [...(places.get(name) ?? []), `${path}:${line}`]);
      }
    }
    return [...places]
      .filter(([, at]) => at.length > 1)
      .map(([name, at]) => `${name} is exported at ${at.join(" and ")}`);
  },
};

const exportsUsed: Rule = {
  sentence: "What is exported is imported by somebody, types aside",
  check: ({ facts }) => {
    const used = new Set<string>();
    const whole = new Set<string>();
    for (const file of facts) {
      for (const { specifier, names } of file.imports) {
        const target = resolveImport(file.path, specifier);
        if (target === undefined) continue;
        if (names.includes("*")) whole.add(target);
        for (const name of names) used.add(`${target} ${name}`);
      }
    }
    return facts
      .filter((file) => isProduct(file.path))
      .flatMap((file) =>
        file.exports
          .filter(({ name, isType }) => !isType && !whole.has(file.path) && !used.has(`${file.path} ${name}`))
          .map(({ name, line }) => `${file.path}:${line} exports ${name}, which nobody imports`),
      );
  },
};

const codeFile = /\.(ts|sh|c)$/;
const lineCount = (text: string): number => text.split("\n").length - (text.endsWith("\n") ? 1 : 0);

/** Line counts of the code files, ascending, with their paths. */
export function codeLengths(files: ReadonlyMap<string, string>): { path: string; lines: number }[] {
  const code = [...files].filter(([path]) => codeFile.test(path));
  return code.map(([path, text]) => ({ path, lines: lineCount(text) })).sort((a, b) => a.lines - b.lines);
}

const longest: Rule = {
  sentence: "No file is longer than 600 lines, and a file of cmd/ is shorter than 100",
  check: ({ files }) =>
    codeLengths(files)
      .filter(({ path, lines }) => lines > 600 || (path.startsWith("cmd/") && lines >= 100))
      .map(({ path, lines }) => `${path} has ${lines} lines`),
};

const mostShort: Rule = {
  sentence: "9 of 10 files have at most 320 lines",
  check: ({ files }) => {
    const lengths = codeLengths(files);
    const long = lengths.filter(({ lines }) => lines > 320);
    if (long.length * 10 <= lengths.length) return [];
    return [`${long.length} of ${lengths.length} files are longer: ${long.map(({ path }) => path).join(", ")}`];
  },
};

const wholeTests: Rule = {
  sentence: "No test is left out",
  check: ({ facts }) =>
    facts.flatMap((file) =>
      file.accesses
        .filter(
          ({ object, property }) => /^(test|it|describe)$/.test(object) && /^(only|skip|todo|failing)$/.test(property),
        )
        .map(({ object, property, line }) => `${file.path}:${line} says ${object}.${property}`),
    ),
};

/** Written in pieces, so that this file does not break its own rule. */
const foreignText = new RegExp(
  [
    "/wo" + "rk/(main|shared)\\b",
    "/ro" + "ot/",
    "/ho" + "me/[a-z]",
    "/Us" + "ers/[a-z]",
    "\\bregistry\\.[a-z]",
    "\\bnpmjs\\.",
    '"resol' + 'ved":',
  ].join("|"),
);

const noMachine: Rule = {
  sentence: "No file names a folder of somebody's machine or a package registry's host",
  check: ({ files }) =>
    [...files].flatMap(([path, text]) =>
      text.split("\n").flatMap((line, index) => {
        const found = foreignText.exec(line)?.[0];
        return found === undefined ? [] : [`${path}:${index + 1} has "${found}"`];
      }),
    ),
};

const mapped: Rule = {
  sentence: "ARCHITECTURE.md names every folder of src/",
  check: ({ files }) => {
    const map = files.get("ARCHITECTURE.md") ?? files.get("src/ARCHITECTURE.md");
    if (map === undefined) return [];
    const folders = new Set([...files.keys()].flatMap((path) => /^src\/([^/]+)\/.*\.ts$/.exec(path)?.[1] ?? []));
    return [...folders]
      .filter((folder) => !map.includes(`${folder}/`))
      .map((folder) => `src/${folder}/ is not on the map`);
  },
};

export const rules: readonly Rule[] = [
  importTable,
  knownFolders,
  operatingSystem,
  bunEffects,
  packageTable,
  quickStart,
  exits,
  randomness,
  noAny,
  emptyCatches,
  fileNames,
  reached,
  exportedOnce,
  exportsUsed,
  longest,
  mostShort,
  wholeTests,
  noMachine,
  mapped,
];
