import { expect, test } from "bun:test";
import { dirname } from "node:path";
import { commands } from "../../cmd/commands.ts";
import { cfnBinary, runCfn, runCommand } from "../support/binary.ts";
import { withBusBase } from "../support/bus.ts";

/** What stands under EXAMPLE in a help text. */
const exampleIn = (help: string): string => help.slice(help.indexOf("\nEXAMPLE\n") + "\nEXAMPLE\n".length);

async function runExample(words: readonly string[]): Promise<string> {
  const { stdout: help } = await runCfn(words);
  const example = exampleIn(help);
  return withBusBase(async (base) => {
    const PATH = `${dirname(cfnBinary)}:${process.env["PATH"]}`;
    const { code, stdout, stderr } = await runCommand(["sh", "-c", example], {
      env: { PATH, CFN_MESSAGE_BASE_DIR: base },
    });
    expect({ example, code, stderr }).toEqual({ example, code: 0, stderr: "" });
    return stdout;
  });
}

/** That of `chaos` takes its time. */
const TEST_MS = 60_000;

test(
  "the example in every command's help works as printed",
  async () => {
    for (const [name, load] of Object.entries(commands)) {
      if ((await load()).meta.hidden !== true) expect(await runExample(["help", name]), name).not.toBe("");
    }
  },
  TEST_MS,
);

test("the example in the program's help works as printed", async () => {
  expect((await runExample(["--help"])).trim().split("\n").toSorted()).toEqual(["w1", "w2", "w3"]);
});

test("the examples of ask and reply end with the answer", async () => {
  for (const name of ["ask", "reply"]) expect(await runExample(["help", name])).toMatch(/^4$/m);
});
