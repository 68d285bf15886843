/** The shipped binary has no crash points: neither their names nor the calls, nor the variables that would trigger them. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { bundleOf, faultCalls } from "../../scripts/build.ts";
import { crashPoints } from "../../src/os/fault.ts";
import { cfnBinary, repositoryRoot, runCommand } from "../support/binary.ts";

const words = [...crashPoints, ...faultCalls.map((call) => call.replace("globalThis.", "")), "CFN_FAULT"];

async function bundle(config: Bun.BuildConfig, minify: Bun.BuildConfig["minify"]): Promise<string> {
  const { outputs } = await Bun.build({ ...config, ...(minify === undefined ? {} : { minify }) });
  const text = (await Promise.all(outputs.map((output) => output.text()))).join("\n");
  return text.replaceAll(/\bchunk-[0-9a-z]{8}\b/g, "chunk");
}

/** The same source with the lines of the calls taken out by hand. */
async function withoutCalls(minify: Bun.BuildConfig["minify"]): Promise<string> {
  const config = await bundleOf(false);
  const files: Record<string, string> = { ...(config.files as Record<string, string>) };
  const { stdout } = await runCommand(["grep", "-rlE", "globalThis\\.(crashPoint|outOfSpace)", "src", "cmd"]);
  const paths = stdout.split("\n").filter((path) => path !== "" && path !== "src/os/fault.ts");
  expect(paths.length).toBeGreaterThan(20);
  for (const path of paths) {
    const file = `${repositoryRoot}/${path}`;
    // What the build has put into a module before it is bundled stays.
    const lines = (files[file] ?? readFileSync(file, "utf8")).split("\n");
    files[file] = lines
      .filter((line) => !/^\s*(if \()?globalThis\.(crashPoint|outOfSpace)\?\.\(.*;$/.test(line))
      .join("\n");
  }
  return bundle({ ...config, files, drop: [] }, minify);
}

test("the shipped binary holds no crash point's name, and the fault build's bundle all of them", async () => {
  const found = await runCommand(["grep", "-aoFf", "-", cfnBinary], { stdin: `${words.join("\n")}\n` });
  expect(found).toMatchObject({ code: 1, stdout: "" });
  const faulty = await bundle(await bundleOf(true), true);
  expect(words.filter((word) => !faulty.includes(word))).toEqual([]);
}, 60_000);

test("what is shipped is the bundle of a source without the calls, letter by letter", async () => {
  // Short names are given out by how often a letter stands in the source, and pieces are named by a hash of that too.
  const named = { whitespace: true, syntax: true, identifiers: false };
  const shipped = await bundle(await bundleOf(false), named);
  expect(shipped.length).toBeGreaterThan(50_000);
  expect(shipped === (await withoutCalls(named))).toBe(true);
  expect((await bundle(await bundleOf(false), true)).length).toBe((await withoutCalls(true)).length);
}, 60_000);

test("each crash point stands in the product once, on a line of its own", async () => {
  const { stdout } = await runCommand(["grep", "-rhE", "globalThis\\.crashPoint", "src", "cmd", "--include=*.ts"]);
  const lines = stdout.split("\n").filter((line) => line !== "" && !line.startsWith(" *"));
  const names = lines.flatMap((line) => /^ +globalThis\.crashPoint\?\.\("([a-z_.]+)"\);$/.exec(line)?.[1] ?? []);
  // The installer's assignment is the one line more.
  expect(names.length).toBe(lines.length - 1);
  expect(names.sort()).toEqual([...crashPoints].sort());
});
