import { describe, expect, test } from "bun:test";
import { commands } from "../../cmd/commands.ts";
import { helpOf, version } from "../../cmd/help.ts";
import { version as packageVersion } from "../../package.json";

const LINES_MOST = 24;
const COLUMNS_MOST = 100;

async function shownCommands() {
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  return all.filter(({ meta }) => meta.hidden !== true);
}

const fits = (text: string): boolean =>
  text.split("\n").length - 1 <= LINES_MOST && text.split("\n").every((line) => line.length <= COLUMNS_MOST);

describe("the help", () => {
  test("of each command fits a screen, names every option and ends with the example", async () => {
    for (const { meta, args, example } of await shownCommands()) {
      const text = await helpOf([meta.name]);
      expect(text, text).toSatisfy(fits);
      for (const [name, arg] of Object.entries(args))
        expect(text).toContain(arg.type === "positional" ? name.toUpperCase() : `--${name}`);
      expect(text).toStartWith(`${meta.description} (cfn ${meta.name} v${version})\nUSAGE cfn ${meta.name} `);
      expect(text).toEndWith(`\nEXAMPLE\n${example.replace(/^/gm, "  ")}\n`);
    }
  });

  test("of the program lists every command that is not hidden, and the exit statuses", async () => {
    const text = await helpOf([]);
    expect(text, text).toSatisfy(fits);
    for (const { meta } of await shownCommands())
      expect(text).toMatch(new RegExp(`^ *${meta.name} {4}${meta.description}$`, "m"));
    for (const status of [0, 1, 64, 65, 66, 69, 70, 73, 75, 77, 124, "128\\+N"])
      expect(text).toMatch(new RegExp(`(^|· | )${status} `, "m"));
    expect(text).not.toContain("coordinator v");
  });

  test("shows how arguments may be given", async () => {
    expect(await helpOf(["recv"])).toContain("USAGE cfn recv [OPTIONS] [ID]\n");
    expect(await helpOf(["recv"])).toContain(" --wait[=D] ");
    expect(await helpOf(["send"])).toContain("USAGE cfn send [OPTIONS] [TO...]\n");
    expect(await helpOf(["ask"])).toContain("USAGE cfn ask [OPTIONS] <TO> <QUESTION>\n");
    expect(await helpOf(["run"])).toContain("USAGE cfn run [OPTIONS] [-- COMMAND [ARG]...]\n");
  });

  test("has no colour where it is not for a terminal", async () => {
    expect(await helpOf(["send"])).not.toContain("\x1b");
  });
});

test("the version is the package's", () => {
  expect(version).toBe(packageVersion);
});
