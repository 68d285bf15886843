import { describe, expect, test } from "bun:test";
import { parseConfig } from "../../src/config/file.ts";
import { lineOfError, linesOfKeys } from "../../src/config/lines.ts";
import { limits } from "../../src/limits.ts";

const parse = (name: string) => (text: string) => parseConfig(name, text);

describe("the line of a key", () => {
  test("is the first with which the parser knows it", () => {
    const toml = '# run.agents\n[run]\nagents = 1 # retries = 2\n\n[bus]\n"shards" = 3\nbase_dir = """\n/x"""\n';
    expect([...linesOfKeys(toml, parse("a.toml"))]).toEqual([
      ["run", 2],
      ["run.agents", 3],
      ["bus", 5],
      ["bus.shards", 6],
      // Before that its text had not ended.
      ["bus.base_dir", 8],
    ]);
    expect(linesOfKeys("run.agents = 1\nbus = { shards = 2 }\n", parse("a.toml")).get("bus.shards")).toBe(2);
  });

  test("is known in YAML, in either of its styles", () => {
    const yaml = "run:\n  agents: 1\nbus: {\n  shards: 2,\n  bytes: 3\n}\n";
    const lines = linesOfKeys(yaml, parse("a.yaml"));
    expect([lines.get("run.agents"), lines.get("bus.bytes")]).toEqual([2, 6]);
  });

  test("is known in JSON, whose beginnings are closed", () => {
    const json =
      '{\n  "run": {\n    "agents": 1,\n    "halt": "}{,"\n  },\n  "alert": {"command": ["a", "\\"["],\n "inbox_max": 1}}';
    const lines = linesOfKeys(json, parse("a.json"));
    const keys = ["run.agents", "run.halt", "alert.command", "alert.inbox_max"];
    expect(keys.map((key) => lines.get(key))).toEqual([3, 4, 6, 7]);
  });

  test("is not looked for where there are very many lines", () => {
    const text = `${"\n".repeat(limits.configLinesLocated)}[run]\nagents = 1\n`;
    expect(linesOfKeys(text, parse("a.toml")).size).toBe(0);
    expect(lineOfError(`${text}x`, parse("a.toml"))).toBeUndefined();
  });
});

describe("the line of an error", () => {
  test("is where what cannot be parsed begins", () => {
    const cases: [string, string, number][] = [
      ["a.toml", "[run]\nagents = 1\nagents = 2\n", 3],
      ["a.toml", "[run\n", 1],
      ["a.toml", "[run]\nagents = [1,\n2\n\n[bus]\n", 2],
      ["a.toml", "[run]\nagents = 1\nhalt = 'now", 3],
      ["a.yaml", "run:\n  agents: 1\n agents: 2\n", 3],
      ["a.yaml", "run:\n\tagents: 1\n", 2],
      ["a.json", '{\n"run": {\n"agents": x\n}\n}\n', 3],
      ["a.json", '{"run": 1,\n}\n', 2],
    ];
    for (const [name, text, line] of cases) expect([text, lineOfError(text, parse(name))]).toEqual([text, line]);
  });
});
