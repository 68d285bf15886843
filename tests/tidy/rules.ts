/**
 * The rules that every file of the repository keeps. `tests/tidy.test.ts` holds samples that each of them must catch.
 */
import { isProduct, layerRules, type Repository, type Rule, resolveImport } from "./layers.ts";

const bannedWords =
  "manager|helper|helpers|util|utils|utility|common|misc|enhanced|optimized|improved|simple|unified|advanced|ultra|new|fixed|old|final|stub|mock";

const isTest = (path: string): boolean => path.endsWith(".test.ts");

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
    "Every file of src/ and cmd/ is reached from an entry point of the build, and every other one is imported or started by somebody",
  check: (repository) => {
    const byPath = new Map(repository.facts.map((file) => [file.path, file]));
    const seen = new Set<string>();
    const walk = (path: string): void => {
      const file = byPath.get(path);
      if (file === undefined || seen.has(path)) return;
      seen.add(path);
      for (const { specifier } of file.imports) walk(resolveImport(path, specifier) ?? "");
    };
    for (const text of ["cmd/cfn.ts", ...(byPath.get("scripts/build.ts")?.strings ?? [])])
      if (isProduct(text)) walk(text);
    const unreached = repository.facts.filter((file) => isProduct(file.path) && !seen.has(file.path));
    const imported = new Set(
      repository.facts.flatMap((file) => file.imports.map(({ specifier }) => resolveImport(file.path, specifier))),
    );
    const scripts = `${repository.files.get("package.json")}\n${repository.files.get("bunfig.toml")}`;
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
  ...layerRules,
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
