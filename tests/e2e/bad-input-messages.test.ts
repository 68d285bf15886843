import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { Bus } from "../../src/bus/contract.ts";
import { type CommandOptions, cfnBinary, runCfn, runCommand } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";

type Refused = (args: readonly string[], code: number, says: string, options?: CommandOptions) => Promise<string>;

/** A bus with bob on it; `refused` runs cfn, checks status and message, and returns its stdout. */
const withBob = (use: (refused: Refused, bus: Bus, dir: string) => Promise<void>): Promise<void> =>
  withOpenBus(async (bus, dir) => {
    bus.register({ id: "bob", role: "worker" });
    await use(
      async (args, code, says, options = {}) => {
        const got = await runCfn(args, { ...options, env: { CFN_BUS_DIR: dir, ...options.env } });
        expect([args.map((arg) => arg.slice(0, 99)), got.code, got.stderr]).toEqual([
          args.map((arg) => arg.slice(0, 99)),
          code,
          expect.stringContaining(says),
        ]);
        expect(got.stderr.split("\n").length).toBeLessThanOrEqual(3);
        expect(got.stderr.length).toBeLessThan(500);
        expect(got.stderr).not.toContain("\x1b");
        return got.stdout;
      },
      bus,
      dir,
    );
  });

describe("the command line", () => {
  test("without a command, or with one that does not exist, is refused", () =>
    withBob(async (refused) => {
      await refused([], 64, "no command given");
      await refused(["sned"], 64, "did you mean send?");
      await refused(["constructor"], 64, 'no such command: "constructor"');
      await refused(["--versoin"], 64, "did you mean --version?");
      await refused(["help", "sned"], 64, "did you mean send?");
    }));

  test("with an unknown option is refused, whatever stands around it", () =>
    withBob(async (refused, bus) => {
      await refused(["send", "bob", "--text", "x", "--tiemout", "5"], 64, "did you mean --timeout?");
      await refused(["recv", "bob", "--folow"], 64, "did you mean --follow?");
      await refused(["agents", "--jsno"], 64, "did you mean --json?");
      await refused(["send", "bob", "-x"], 64, 'no such option: "-x"');
      expect(bus.depth("bob", "data")).toBe(0);
    }));

  test("with numbers and durations out of range is refused by option, value and range", () =>
    withBob(async (refused) => {
      for (const bad of ["0", "-1", "1.5", "1e9", "99999999999999999999", "NaN", "five", ""])
        await refused(["recv", "bob", "--max", bad], 64, `--max "${bad}": expected a whole number from 1 to`);
      for (const bad of ["-1s", "5d", "1e3", "soon", "99999h", "9999999999999999"])
        await refused(["recv", "bob", `--wait=${bad}`], 64, `--wait "${bad}": expected a duration from 0ms to 720h`);
      await refused(["send", "bob", "--text", "x", "--sequence", "4294967296"], 64, "from 1 to 4294967295");
    }));

  test("with options that exclude each other is refused", () =>
    withBob(async (refused) => {
      await refused(["send", "bob"], 64, "no payload");
      await refused(["send", "--text", "x"], 64, "TO is missing");
      await refused(["send", "bob", "--text", "x", "--payload", "1"], 64, "more than one payload");
      await refused(["send", "bob", "-", "--text", "x"], 64, "more than one payload");
      await refused(["send", "-", "bob", "--text", "x"], 64, "- must stand once");
      await refused(["send", "bob", "--batch", "-"], 64, "TO stands beside --batch");
      await refused(["send", "--batch", "-", "--text", "x"], 64, "--text stands beside --batch");
      await refused(["recv", "bob", "--follow", "--peek"], 64, "exclude each other");
      await refused(["reply", "bob.0000000000000"], 64, "one answer is needed");
      await refused(["ask", "bob"], 64, "QUESTION is missing");
    }));
});

describe("an agent id", () => {
  const bad = ["../x", "a b", "x".repeat(300), "", "Bob", "-x", "_x", "bob/../x", "böb", "bob\n", "."];

  test("that is none is refused wherever it stands, and no file is made of it", () =>
    withBob(async (refused, bus) => {
      for (const id of bad) {
        if (!id.startsWith("-")) await refused(["send", id, "--text", "x"], 64, "expected an agent id");
        await refused(["send", "--text", "x", "--", id], 64, "expected an agent id");
        await refused(["send", "bob", "--text", "x", `--from=${id}`], 64, "expected an agent id");
        await refused(["recv", "--", id], 64, "expected an agent id");
        await refused(["ask", "--", id, "?"], 64, "expected an agent id");
        if (id !== "") await refused(["recv"], 64, "CFN_AGENT_ID", { env: { CFN_AGENT_ID: id } });
      }
      await refused(["send", "@team:../x", "--text", "x"], 64, "expected an agent id");
      await refused(["reply", "../x.0000000000000", "a"], 64, "expected a message id");
      await refused(["reply", "bob", "a"], 64, "expected a message id");
      expect(bus.agents().map(({ id }) => id)).toEqual(["bob"]);
    }));
});

describe("a payload", () => {
  test("that is not JSON, too deep or too large is refused with the figures", () =>
    withBob(async (refused, bus) => {
      await refused(["send", "bob", "--payload", "{a:1}"], 65, "not JSON");
      await refused(["send", "bob", "--payload", ""], 65, "not JSON");
      await refused(["send", "bob", "--payload", "[".repeat(100_000)], 65, "nested deeper than 64 levels");
      await refused(["send", "bob", "-"], 65, "the payload has 1048577 bytes, the limit is 1048576", {
        stdin: "x".repeat(2 ** 20 - 1),
      });
      await refused(["send", "bob", "-"], 65, "stdin has more than the 1048576 bytes", {
        stdin: "x".repeat(3 * 2 ** 20),
      });
      await refused(["send", "bob", "--payload", "-"], 65, "nested deeper", { stdin: "[".repeat(2 ** 20) });
      await refused(["send", "bob", "-"], 65, "stdin is not UTF-8", { stdin: new Uint8Array([0x61, 0xff]) });
      await refused(["reply", "bob.0000000000000", "--payload", "nul"], 65, "not JSON");
      expect(bus.depth("bob", "data")).toBe(0);
    }));
});

describe("a batch", () => {
  const good = (n: number): string => `{"to":"bob","payload":${n}}\n`;

  test("with a bad line ends there: those before it are sent and printed", () =>
    withBob(async (refused, bus) => {
      const bad: [string | Uint8Array, number, string][] = [
        ['{"to":"bob"}\n', 65, 'line 3 of the batch: "payload" is missing'],
        ["{\n", 65, "line 3 of the batch: it is not JSON"],
        ['{"to":"bob","payload":1}\0\n', 65, "line 3 of the batch: it is not JSON"],
        ['{"to":"bob","payl', 65, "line 3 of the batch: it is not JSON"],
        ['{"to":"../x","payload":1}\n', 65, 'line 3 of the batch: "to": expected an agent id'],
        [`{"to":"bob","payload":${"[".repeat(70)}${"]".repeat(70)}}\n`, 65, "line 3 of the batch: it is nested deeper"],
        [`{"to":"bob","payload":"${"x".repeat(2 ** 20)}"}\n`, 65, "line 3 of the batch: the payload has 1048578 bytes"],
        [`"${"x".repeat(2 ** 22)}`, 65, "line 3 of the batch: it has more than"],
        ['{"to":"bbo","payload":1}\n', 66, "did you mean bob?"],
      ];
      for (const [line, code, says] of bad) {
        const stdin = `${good(1)}${good(2)}${line}${good(4)}`;
        const stdout = await refused(["send", "--batch", "-"], code, says, { stdin });
        expect(stdout.split("\n")).toHaveLength(3);
        expect(bus.peek("bob", "data", 9).map(({ payload }) => payload)).toEqual([1, 2]);
        const lease = bus.lease("bob", "data");
        lease?.ack(2);
        lease?.release();
      }
    }));

  test("that is missing, a directory or empty is said", () =>
    withBob(async (refused, _bus, dir) => {
      await refused(["send", "--batch", `${dir}/none`], 66, "no such file or directory");
      await refused(["send", "--batch", dir], 65, "it is a directory");
      writeFileSync(`${dir}/empty`, "");
      const { code, stdout, stderr } = await runCfn(["send", "--batch", `${dir}/empty`], { env: { CFN_BUS_DIR: dir } });
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
    }));
});

describe("the surroundings", () => {
  test("without a bus, or with a directory that is none, are refused", () =>
    withBob(async (refused, _bus, dir) => {
      const CFN_BUS_DIR = undefined;
      await refused(["agents"], 66, "no bus below", { env: { CFN_BUS_DIR, CFN_MESSAGE_BASE_DIR: `${dir}/none` } });
      await refused(["agents", "--bus", `${dir}/agents`], 69, "is not a bus");
      await refused(["agents", "--bus", ""], 64, "expected a path");
    }));

  test("with a full disk behind stdout give 73, and the message stays", () =>
    withBob(async (_refused, bus, dir) => {
      bus.send({ from: "x", to: "bob", type: "t", payload: 1 });
      const script = `"$0" recv bob >/dev/full`;
      const { code, stderr } = await runCommand(["sh", "-c", script, cfnBinary], { env: { CFN_BUS_DIR: dir } });
      expect({ code, stderr }).toEqual({
        code: 73,
        stderr: "cfn: error: cannot write to stdout: no space left on device\n",
      });
      expect(bus.depth("bob", "data")).toBe(1);
    }));

  test("hold a .env and a bunfig.toml, which are not read", () =>
    withBob(async (refused, _bus, dir) => {
      writeFileSync(`${dir}/.env`, "CFN_AGENT_ID=bob\n");
      writeFileSync(`${dir}/bunfig.toml`, 'preload = ["./missing.ts"]\n');
      await refused(["recv"], 64, "ID is missing", { cwd: dir });
    }));
});
