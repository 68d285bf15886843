import { describe, expect, test } from "bun:test";
import { parseArgv } from "../../cmd/argv.ts";
import type { Args } from "../../cmd/command.ts";
import { UnknownName } from "../../cmd/unknown.ts";
import { agentId, duration, whole } from "../../cmd/values.ts";
import { CfnError } from "../../src/errors.ts";

const args = {
  to: { type: "positional", many: true, required: false, description: "" },
  text: { type: "string", description: "" },
  from: { type: "string", env: "CFN_AGENT_ID", value: agentId, description: "" },
  jobs: { type: "string", alias: "j", value: whole(1, 100), description: "" },
  wait: { type: "string", bare: true, value: duration(), description: "" },
  set: { type: "string", alias: "s", many: true, description: "" },
  topology: { type: "enum", options: ["auto", "flat"], env: "CFN_TOPOLOGY", description: "" },
  "keep-order": { type: "boolean", alias: "k", description: "" },
  verbose: { type: "boolean", alias: "v", description: "" },
  colour: { type: "boolean", default: true, negativeDescription: "plain", description: "" },
} as const satisfies Args;

const read = (argv: string[], env: Record<string, string> = {}) => {
  const parsed = parseArgv(argv, { args }, env);
  if (parsed.help) throw new Error("unexpected help");
  return parsed.args;
};

function refusal(argv: string[], env: Record<string, string> = {}): CfnError {
  try {
    parseArgv(argv, { args }, env);
  } catch (error) {
    if (error instanceof CfnError && error.code === "usage") return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(argv)} was accepted`);
}

describe("an option's value", () => {
  test("is given in the next word or by =, by the short name also glued", () => {
    for (const argv of [["--jobs", "8"], ["--jobs=8"], ["-j", "8"], ["-j8"], ["-j=8"]]) expect(read(argv).jobs).toBe(8);
  });

  test("given by = may hold newlines, = and a leading dash, or be empty", () => {
    expect(read(["--text=a\nb=c"]).text).toBe("a\nb=c");
    expect(read(["--text=--from"]).text).toBe("--from");
    expect(read(["--text="]).text).toBe("");
    expect(read(["--text", ""]).text).toBe("");
  });

  test("in a word of its own may be - and hold newlines, and may not be an option", () => {
    expect(read(["--text", "-"]).text).toBe("-");
    expect(read(["--text", "a\nb"]).text).toBe("a\nb");
    expect(refusal(["--text", "--verbose"]).message).toContain("--text needs a value");
    expect(refusal(["--text", "--verbose"]).remedy).toContain("--text=");
    expect(refusal(["--jobs"]).message).toContain("a whole number from 1 to 100");
  });

  test("out of range is refused with the option, the value and the range", () => {
    for (const bad of [
      "0",
      "101",
      "-1",
      "1.5",
      "1e2",
      "0x10",
      "NaN",
      "Infinity",
      " 5",
      "5 ",
      "+5",
      "",
      "9".repeat(400),
    ]) {
      for (const argv of [["--jobs", bad], [`--jobs=${bad}`]]) {
        const { message } = refusal(argv);
        expect(message).toStartWith("--jobs ");
        expect(message).toContain(JSON.stringify(bad.slice(0, 20)).slice(0, -1));
        expect(message).toContain("from 1 to 100");
        expect(message.length).toBeLessThan(200);
      }
    }
  });

  test("of an enumeration is one of its words", () => {
    expect(read(["--topology", "flat"]).topology).toBe("flat");
    expect(refusal(["--topology", "Flat"]).message).toBe('--topology "Flat": expected auto, flat');
  });

  test("is optional where the option may be bare, and then given by = only", () => {
    expect(read(["--wait"]).wait).toBe(true);
    expect(read(["--wait=5s"]).wait).toBe(5000);
    expect(read([]).wait).toBeUndefined();
    expect(read(["--wait", "alice"]).to).toEqual(["alice"]);
    expect(refusal(["--wait", "5s"]).remedy).toContain("--wait=5s");
  });
});

describe("an unknown option", () => {
  test("is refused with the names that there are", () => {
    for (const argv of [["--tetx", "a"], ["--tetx=a"], ["-x"], ["-kx"], ["--no-verbose"], ["--constructor"], ["---"]]) {
      const error = refusal(argv);
      expect(error).toBeInstanceOf(UnknownName);
      expect((error as UnknownName).candidates).toContain("--text");
      expect((error as UnknownName).candidates).not.toContain("--to");
    }
  });

  test("is refused even before --help, and --help wins over what follows it", () => {
    expect(() => parseArgv(["--nope", "--help"], { args }, {})).toThrow(UnknownName);
    expect(parseArgv(["--help", "--nope"], { args }, {}).help).toBe(true);
    expect(parseArgv(["-h"], { args }, {}).help).toBe(true);
  });
});

describe("flags", () => {
  test("are false unless given, combine, and take no value", () => {
    expect(read([])).toMatchObject({ "keep-order": false, verbose: false });
    expect(read(["-kv"])).toMatchObject({ "keep-order": true, verbose: true });
    expect(read(["-kj8"])).toMatchObject({ "keep-order": true, jobs: 8 });
    expect(refusal(["--verbose=false"]).message).toBe("--verbose takes no value");
  });

  test("can be negated only where that is defined", () => {
    expect(read([]).colour).toBe(true);
    expect(read(["--no-colour"]).colour).toBe(false);
    expect(refusal(["--no-colour=x"]).message).toBe("--no-colour takes no value");
    expect(refusal(["--no-keep-order"])).toBeInstanceOf(UnknownName);
  });
});

describe("an option given twice", () => {
  test("is refused", () => {
    for (const argv of [
      ["--text=a", "--text=b"],
      ["-j1", "--jobs=1"],
      ["-kk"],
      ["--colour", "--no-colour"],
      ["--wait", "--wait=1"],
    ])
      expect(refusal(argv).message).toContain("more than once");
  });

  test("is a list where it may be repeated", () => {
    expect(read(["--set=a", "-s", "b", "-sc"]).set).toEqual(["a", "b", "c"]);
    expect(read([]).set).toEqual([]);
  });
});

describe("the environment", () => {
  test("stands in for an absent option, is validated alike and named in the refusal", () => {
    expect(read([], { CFN_AGENT_ID: "alice" }).from).toBe("alice");
    expect(read(["--from=bob"], { CFN_AGENT_ID: "alice" }).from).toBe("bob");
    expect(read([], { CFN_AGENT_ID: "" }).from).toBeUndefined();
    expect(refusal([], { CFN_AGENT_ID: "../x" }).message).toStartWith('CFN_AGENT_ID "../x": expected an agent id');
    expect(refusal([], { CFN_TOPOLOGY: "star" }).message).toStartWith('CFN_TOPOLOGY "star"');
  });
});

describe("positionals", () => {
  test("stand anywhere among the options; - is one", () => {
    expect(read(["a", "--jobs", "2", "-", "-k", "b"]).to).toEqual(["a", "-", "b"]);
  });

  test("after -- begin with whatever they like", () => {
    expect(read(["a", "--", "--jobs", "-x", "--"]).to).toEqual(["a", "--jobs", "-x", "--"]);
  });

  test("missing or too many are refused", () => {
    const one = { args: { id: { type: "positional", value: agentId } } } as const;
    expect(() => parseArgv([], one, {})).toThrow("ID is missing");
    expect(() => parseArgv(["a", "b"], one, {})).toThrow('unexpected argument "b"');
    expect(() => parseArgv(["A b"], one, {})).toThrow('ID "A b": expected an agent id');
    expect(parseArgv(["a"], one, {})).toEqual({ help: false, args: { id: "a" }, rest: [] });
  });

  test("may come from the environment", () => {
    const one = { args: { id: { type: "positional", env: "CFN_AGENT_ID", value: agentId } } } as const;
    expect(parseArgv([], one, { CFN_AGENT_ID: "bob" })).toMatchObject({ args: { id: "bob" } });
    expect(parseArgv(["eve"], one, { CFN_AGENT_ID: "bob" })).toMatchObject({ args: { id: "eve" } });
    expect(() => parseArgv([], one, { CFN_AGENT_ID: "a b" })).toThrow('CFN_AGENT_ID "a b": expected');
    expect(() => parseArgv([], one, { CFN_AGENT_ID: "" })).toThrow("ID is missing");
  });

  test("may be absent where they are not required", () => {
    const maybe = { args: { id: { type: "positional", required: false } } } as const;
    expect(parseArgv([], maybe, {})).toEqual({ help: false, args: {} as { id: undefined }, rest: [] });
  });
});

describe("what stands after --", () => {
  test("is the command's, untouched, where it takes one", () => {
    const run = { args: { jobs: args.jobs }, rest: "COMMAND" };
    expect(parseArgv(["-j2", "--", "sh", "-c", "x", "--", "--help"], run, {})).toEqual({
      help: false,
      args: { jobs: 2 },
      rest: ["sh", "-c", "x", "--", "--help"],
    });
    expect(() => parseArgv(["sh"], run, {})).toThrow('unexpected argument "sh"');
  });
});

test("values in messages are cut and their control characters escaped", () => {
  const { message } = refusal([`--jobs=\x1b[31m${"x".repeat(5000)}`]);
  expect(message).not.toContain("\x1b");
  expect(message.length).toBeLessThan(200);
});
