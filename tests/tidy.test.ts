/** The repository keeps its rules, and every rule can be broken: each has samples that it must catch or leave alone. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { repositoryRoot, runCommand } from "./support/binary.ts";
import { readFacts } from "./tidy/facts.ts";
import type { Repository } from "./tidy/layers.ts";
import { rules } from "./tidy/rules.ts";

type Sample = Readonly<Record<string, string>>;

const read = async (files: ReadonlyMap<string, string>): Promise<Repository> => ({
  files,
  facts: await readFacts(files),
});

/** The tracked files, and those that would be if they were added; without what is binary. */
async function repository(): Promise<Repository> {
  const listed = await runCommand(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  expect(listed.code, listed.stderr).toBe(0);
  const files = new Map<string, string>();
  for (const path of listed.stdout.split("\0")) {
    const full = resolve(repositoryRoot, path);
    if (path === "" || !existsSync(full)) continue;
    const text = readFileSync(full, "utf8");
    if (!text.includes("\0")) files.set(path, text);
  }
  return read(files);
}

const whole = repository();

/** For each rule, by the beginning of its sentence: what it must catch, and what it must not. */
const samples: Readonly<Record<string, { readonly bad: readonly Sample[]; readonly good: readonly Sample[] }>> = {
  "Imports run downwards": {
    bad: [
      { "src/bus/a.ts": 'import { b } from "../agent/b.ts";' },
      { "src/agent/a.ts": 'import type { B } from "../coordinator/b.ts";' },
      { "src/coordinator/a.ts": 'export { b } from "../agent/b.ts";' },
      { "src/message/a.ts": 'const b = await import("../os/b.ts");' },
      { "src/limits.ts": 'import { b } from "./message/b.ts";' },
      { "src/os/a.ts": 'type B = import("../bus/contract.ts").Bus;' },
      { "src/agent/a.ts": 'import { b } from "../bus/segments.ts";' },
      { "cmd/a.ts": 'import { b } from "../src/bus/segments.ts";' },
      { "cmd/a.ts": 'import { b } from "../tests/support/b.ts";' },
      { "src/bus/a.ts": 'import { version } from "../../package.json";' },
      { "src/swarm/a.ts": 'import { b } from "../bus/bus.ts";' },
    ],
    good: [
      {
        "src/agent/a.ts":
          'import { openBus } from "../bus/bus.ts"; import { b } from "./b.ts"; import { limits } from "../limits.ts";',
      },
      { "cmd/a.ts": 'import { version } from "../package.json"; import { run } from "../src/coordinator/run.ts";' },
      { "tests/bus/a.test.ts": 'import { b } from "../../src/bus/segments.ts";' },
      {
        "src/bus/a.ts":
          '// import { b } from "../agent/b.ts"\nexport const text = `import { b } from "../agent/b.ts"`;',
      },
    ],
  },
  "Every folder of src/": {
    bad: [{ "src/shared/a.ts": "export {};" }],
    good: [{ "src/bus/a.ts": "export {};", "src/limits.ts": "export {};" }],
  },
  "Only src/os imports": {
    bad: [
      { "src/bus/a.ts": 'import { readFileSync } from "node:fs";' },
      { "cmd/a.ts": 'const { dlopen } = await import("bun:ffi");' },
      { "src/agent/a.ts": 'import { join } from "path";' },
    ],
    good: [
      { "src/os/a.ts": 'import { dlopen } from "bun:ffi";' },
      { "tests/a.test.ts": 'import { join } from "node:path";' },
    ],
  },
  "Only src/os uses what Bun": {
    bad: [
      { "src/agent/a.ts": 'Bun.spawn(["true"]);' },
      { "cmd/a.ts": "const { write } = Bun;" },
      { "src/bus/a.ts": 'globalThis.Bun["file"]("x");' },
    ],
    good: [{ "src/bus/a.ts": "Bun.hash.crc32(bytes);" }, { "src/os/a.ts": 'Bun.spawn(["true"]);' }],
  },
  "A package is imported only": {
    bad: [{ "src/bus/a.ts": 'import * as v from "valibot";' }, { "cmd/a.ts": 'import _ from "lodash";' }],
    good: [{ "cmd/a.ts": 'const { consola } = await import("consola");' }],
  },
  "A message command loads": {
    bad: [
      { "cmd/cfn.ts": 'import { a } from "../src/os/a.ts";', "src/os/a.ts": 'import { open } from "node:fs";' },
      { "cmd/send.ts": 'import "consola";' },
      { "cmd/recv.ts": 'export { a } from "./a.ts";', "cmd/a.ts": "process.stdout.write(text);" },
    ],
    good: [
      { "cmd/cfn.ts": 'const { a } = await import("./a.ts");', "cmd/a.ts": 'import "consola";' },
      {
        "cmd/send.ts": 'import { type A } from "./a.ts"; import type { B } from "./a.ts";',
        "cmd/a.ts": 'import "consola";',
      },
      { "cmd/run.ts": 'import "consola";' },
    ],
  },
  "Only cmd/ ends": {
    bad: [
      { "src/agent/a.ts": "process.exit(1);" },
      { "src/os/a.ts": "globalThis.process.exit(1);" },
      { "src/coordinator/a.ts": "process.exitCode = 1;" },
    ],
    good: [
      { "cmd/a.ts": "process.exit(1);" },
      { "src/agent/a.ts": 'const text = "process.exit(1)"; // process.exit(1)' },
    ],
  },
  "Randomness comes": {
    bad: [
      { "src/bus/a.ts": "Math.random();" },
      { "tests/a.test.ts": "crypto.randomUUID();" },
      { "bench/a.bench.ts": 'import { randomBytes } from "node:crypto";' },
      { "cmd/a.ts": "const { random } = Math;" },
    ],
    good: [
      { "src/os/a.ts": "Math.random();" },
      { "tests/a.test.ts": 'import { createHash } from "node:crypto"; Math.max(1);' },
    ],
  },
  "Nothing has the type any": {
    bad: [
      { "src/a.ts": "let x: any;" },
      { "tests/a.test.ts": "f(x as any);" },
      { "src/a.ts": "type A = Record<string, any>;" },
    ],
    good: [{ "src/a.ts": 'const text = "x: any"; /* any */ const any = 1;' }],
  },
  "No error is dropped": {
    bad: [
      { "src/a.ts": "try { f(); } catch {}" },
      { "src/a.ts": "try { f(); } catch (error) {\n}" },
      { "tests/a.test.ts": "await p.catch(() => {});" },
    ],
    good: [{ "src/a.ts": "try { f(); } catch { /* It may be gone by now. */ }" }, { "src/a.ts": "p.catch(report);" }],
  },
  "A file's name": {
    bad: [
      { "src/bus/busManager.ts": "" },
      { "src/utils/a.ts": "" },
      { "tests/test-helper.ts": "" },
      { "src/bus/bus.v2.ts": "" },
      { "src/message/simpleMessage.ts": "" },
    ],
    good: [{ "src/bus/utilisation.ts": "", "src/agent/renewal.ts": "", "README.md": "" }],
  },
  "Every file of src/ and cmd/ is reached": {
    bad: [
      {
        "cmd/cfn.ts": "",
        "src/bus/a.ts": "export const a = 1;",
        "tests/a.test.ts": 'import { a } from "../src/bus/a.ts";',
      },
      { "cmd/cfn.ts": "", "cmd/send.ts": "" },
      { "cmd/cfn.ts": "", "tests/support/a.ts": "export const a = 1;" },
    ],
    good: [
      {
        "cmd/cfn.ts": 'await import("./send.ts");',
        "cmd/send.ts": 'import type { A } from "../src/bus/a.ts";',
        "src/bus/a.ts": "",
      },
      {
        "cmd/cfn.ts": "",
        "src/os/thread.ts": "",
        "scripts/build.ts": 'build(["src/os/thread.ts"]);',
        "package.json": '"scripts/build.ts"',
      },
      { "cmd/cfn.ts": "", "tests/fixtures/echo.ts": "", "tests/a.test.ts": 'run("fixtures/echo.ts");' },
      { "cmd/cfn.ts": "", "tests/fixtures/echo.ts": "", "tests/a.test.ts": `run(\`\${here}/fixtures/echo.ts\`);` },
      { "cmd/cfn.ts": "", "package.json": "bun scripts/build.ts", "scripts/build.ts": "", "bench/a.bench.ts": "" },
      { "cmd/cfn.ts": "", "bunfig.toml": 'preload = ["./tests/support/a.ts"]', "tests/support/a.ts": "" },
    ],
  },
  "An exported name": {
    bad: [{ "src/a.ts": "export const run = 1;", "cmd/b.ts": "export function run() {}" }],
    good: [
      { "src/a.ts": "export const run = 1;", "cmd/b.ts": 'export { run } from "../src/a.ts";' },
      { "src/a.ts": "export const run = 1;", "cmd/b.ts": "const run = 2;" },
    ],
  },
  "What is exported": {
    bad: [{ "src/a.ts": "export const a = 1, b = 2;", "cmd/b.ts": 'import { a } from "../src/a.ts";' }],
    good: [
      { "src/a.ts": "export class A {}", "cmd/b.ts": 'import { A as B } from "../src/a.ts";' },
      { "src/a.ts": "export interface A {} export type B = A;" },
      { "src/a.ts": "export const a = 1;", "cmd/b.ts": 'const { a } = await import("../src/a.ts");' },
    ],
  },
  "No file is longer": {
    bad: [{ "src/a.ts": "\n".repeat(601) }, { "install.sh": "\n".repeat(601) }, { "cmd/a.ts": "\n".repeat(100) }],
    good: [{ "src/a.ts": "\n".repeat(600), "cmd/a.ts": "\n".repeat(99), "README.md": "\n".repeat(700) }],
  },
  "9 of 10 files": {
    bad: [{ "src/a.ts": "\n".repeat(321), "src/b.ts": "" }],
    good: [{ "src/a.ts": "\n".repeat(320), "src/b.ts": "" }],
  },
  "No test is left out": {
    bad: [
      { "tests/a.test.ts": 'test.only("a", f);' },
      { "tests/a.test.ts": 'describe.skip("a", f);' },
      { "tests/a.test.ts": 'it.todo("a");' },
    ],
    good: [{ "tests/a.test.ts": 'test.each([1])("a", f); test("only", f);' }],
  },
  "No file names a folder": {
    bad: [
      { "README.md": `see ${["", "work", "main"].join("/")}/x` },
      { "tests/a.test.ts": `const path = "${["", "home", "me"].join("/")}";` },
      { "package-lock.json": `"${"resol"}ved": "https://x/y.tgz"` },
      { ".npmrc": `${["registry", "example.org"].join(".")}` },
    ],
    good: [{ "README.md": "a home/me folder, a registry of agents, ~/.local/bin, the network/main road" }],
  },
  "ARCHITECTURE.md names": {
    bad: [{ "ARCHITECTURE.md": "bus/ only", "src/bus/a.ts": "", "src/agent/a.ts": "" }],
    good: [{ "ARCHITECTURE.md": "bus/ and agent/", "src/bus/a.ts": "", "src/agent/a.ts": "" }, { "src/bus/a.ts": "" }],
  },
};

for (const { sentence, check } of rules) {
  test(`in this repository: ${sentence}`, async () => {
    expect(check(await whole)).toEqual([]);
  });

  test(`a sample that breaks it is caught: ${sentence}`, async () => {
    const own = Object.entries(samples).filter(([beginning]) => sentence.startsWith(beginning));
    expect(own, "every rule has its samples").toHaveLength(1);
    for (const [, { bad, good }] of own) {
      for (const sample of bad) {
        expect(check(await read(new Map(Object.entries(sample)))), JSON.stringify(sample)).not.toEqual([]);
      }
      for (const sample of good) {
        expect(check(await read(new Map(Object.entries(sample)))), JSON.stringify(sample)).toEqual([]);
      }
    }
  });
}

test("the rules read the repository that they are in", async () => {
  const { files, facts } = await whole;
  expect([...files.keys()]).toContain("tests/tidy.test.ts");
  expect(facts.map((file) => file.path)).toContain("cmd/cfn.ts");
});
