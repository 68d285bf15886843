/** Settings from a file, variables and options, as `cfn config` shows them and as runs have them. */
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { settingList } from "../../src/config/schema.ts";
import { type CommandOptions, repositoryRoot, runCfn, runCommand } from "../support/binary.ts";
import { namesIn, withBusBase } from "../support/bus.ts";
import { linesOf, until, withSwarm } from "../support/swarm.ts";

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/cfn-config-`);
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Shown {
  readonly key: string;
  readonly value: unknown;
  readonly origin: object;
  readonly hidden?: boolean;
}

async function shown(args: readonly string[], options: CommandOptions = {}): Promise<(key: string) => Shown> {
  const { code, stdout, stderr } = await runCfn(["config", "--json", ...args], options);
  expect(code, stderr).toBe(0);
  const { schema, values } = JSON.parse(stdout) as { schema: string; values: Shown[] };
  expect(schema).toBe("cfn.config/1");
  expect(values.map(({ key }) => key)).toEqual(settingList.map(({ key }) => key));
  return (key) => values.find((one) => one.key === key) as Shown;
}

/** As the default configuration file. */
function configured(directory: string, text: string): { XDG_CONFIG_HOME: string } {
  mkdirSync(`${directory}/xdg/cfn`, { recursive: true });
  writeFileSync(`${directory}/xdg/cfn/config.toml`, text);
  return { XDG_CONFIG_HOME: `${directory}/xdg` };
}

describe("cfn config", () => {
  test("lets the file stand above defaults, variables above the file, and options above all", async () => {
    await withDirectory(async (directory) => {
      const path = `${directory}/xdg/cfn/config.toml`;
      const env = configured(directory, '[run]\nretries = 1\nagents = 10\n\ntimeout = "5s"\nhalt = "soon"\n');
      const of = await shown(["--halt", "now"], { env: { ...env, CFN_MAX_AGENTS: "20", CFN_RUN_HALT: "never" } });
      expect(of("run.topology")).toMatchObject({ value: "auto", origin: { from: "default" } });
      expect(of("run.retries")).toMatchObject({ value: 1, origin: { from: "file", file: path, line: 2 } });
      expect(of("run.timeout")).toMatchObject({ value: "5s", origin: { from: "file", file: path, line: 5 } });
      const variable = { from: "environment", variable: "CFN_MAX_AGENTS" };
      expect(of("run.agents")).toMatchObject({ value: 20, origin: variable });
      expect(of("run.halt")).toMatchObject({ value: "now", origin: { from: "option", option: "--halt" } });
      const table = linesOf((await runCfn(["config"], { env: { ...env, CFN_MAX_AGENTS: "20" } })).stdout);
      expect(table).toHaveLength(settingList.length + 1);
      expect(table[1]).toMatch(/^run\.agents +20 +CFN_MAX_AGENTS$/);
      expect(table.find((line) => line.startsWith("run.timeout"))).toMatch(/ 5s +.*config\.toml line 5$/);
      expect(table.find((line) => line.startsWith("run.grace"))).toMatch(/ 2s +default$/);
    });
  });

  test("reads TOML, YAML and JSON by the ending, and reads --config instead of the default file", async () => {
    await withDirectory(async (directory) => {
      const texts = {
        "a.toml": '[alert]\ncommand = ["mail", "me"]\ninbox_max = 0.5\n',
        "a.yaml": "alert:\n  command: [mail, me]\n  inbox_max: 0.5\n",
        "a.yml": "alert:\n  command:\n    - mail\n    - me\n  inbox_max: 0.5\n",
        "a.json": '{"$schema": "cfn.json",\n"alert": {"command": ["mail", "me"],\n"inbox_max": 0.5}}',
      };
      const env = configured(directory, "[run]\nagents = 10\n");
      for (const [name, text] of Object.entries(texts)) {
        writeFileSync(`${directory}/${name}`, text);
        const of = await shown(["--config", `${directory}/${name}`], { env });
        const line = name === "a.yml" ? 5 : 3;
        expect(of("alert.command").value).toEqual(["mail", "me"]);
        expect(of("alert.inbox_max")).toMatchObject({ value: 0.5, origin: { line } });
        expect(of("run.agents").origin).toEqual({ from: "default" });
      }
    });
  });

  test("looks as the README shows it", async () => {
    await withDirectory(async (directory) => {
      const readme = readFileSync(`${repositoryRoot}/README.md`, "utf8");
      const [, text, table] = /cat >cfn\.toml\n((?: {4}.*\n)*?) {4}\$ (?:.*)\n((?: {4}.*\n)*)/.exec(readme) ?? [];
      const plain = (lines = ""): string => lines.replaceAll(/^ {4}/gm, "");
      writeFileSync(`${directory}/cfn.toml`, plain(text));
      const options = { cwd: directory, env: { CFN_RUN_TIMEOUT: "90s" } };
      const { stdout } = await runCfn(["config", "--config", "cfn.toml", "--retries", "2"], options);
      expect(plain(table)).toBe(stdout.split("\n").slice(0, 7).join("\n").concat("\n"));
    });
  });

  test("keeps the epic's variables, and takes an empty one for absent", async () => {
    const env = {
      CFN_MAX_COORDINATION_TIME: "90",
      CFN_METRICS_ENABLED: "0",
      CFN_HEALTH_CHECK_INTERVAL: "2",
      MAX_INBOX_SIZE: "50",
      CFN_TOPOLOGY: "",
    };
    const of = await shown([], { env });
    expect(of("run.time_limit").value).toBe("90");
    expect(of("metrics.enabled").value).toBe(false);
    expect(of("bus.inbox_messages").value).toBe(50);
    expect(of("run.topology").origin).toEqual({ from: "default" });
    const both = await shown([], { env: { ...env, CFN_MAX_INBOX_SIZE: "60" } });
    expect(both("bus.inbox_messages")).toMatchObject({ value: 60, origin: { variable: "CFN_MAX_INBOX_SIZE" } });
  });

  test("shows no secret, and warns of variables that look like a misspelt one", async () => {
    const env = { CFN_SERVE_TOKEN: "0123456789abcdef", CFN_MAX_AGENT: "5", CFN_AGENT_ID: "w1", CFN_BUS_DIR: "/x" };
    expect((await shown([], { env }))("serve.token")).toMatchObject({ value: null, hidden: true });
    const { stdout, stderr } = await runCfn(["config"], { env });
    expect(stdout + stderr).not.toContain("0123456789abcdef");
    expect(stderr).toBe("cfn: warn: CFN_MAX_AGENT sets nothing; did you mean CFN_MAX_AGENTS?\n");
  });

  test("check says whether a file is right, whatever the variables say", async () => {
    await withDirectory(async (directory) => {
      const path = `${directory}/a.toml`;
      writeFileSync(path, "[run]\nagents = 10\n");
      const right = await runCfn(["config", "check", path], { env: { CFN_MAX_AGENTS: "0" } });
      expect(right).toMatchObject({ code: 0, stdout: "", stderr: `cfn: info: ${path} is right\n` });
      writeFileSync(path, "[run]\nagents = 0\n");
      expect((await runCfn(["config", "check", path])).code).toBe(64);
      expect((await runCfn(["config", "check", `${path}x`])).code).toBe(66);
      expect((await runCfn(["run", "--config", `${path}x`, "--", "true"])).code).toBe(66);
    });
  });

  test("reads nothing that is no regular file, or no text, or larger than a configuration is", async () => {
    await withDirectory(async (directory) => {
      const at = (name: string): string => `${directory}/${name}.toml`;
      await runCommand(["mkfifo", at("fifo")]);
      mkdirSync(at("directory"));
      writeFileSync(at("large"), "");
      truncateSync(at("large"), 2 ** 30);
      writeFileSync(at("latin"), Buffer.from("# caf\xe9\n", "latin1"));
      const says = {
        fifo: "is not a regular file",
        directory: "is a directory",
        large: "is larger than 256KiB",
        latin: "is not UTF-8",
      };
      for (const [name, why] of Object.entries(says)) {
        for (const words of [
          ["config", "check", at(name)],
          ["run", "--config", at(name), "--", "true"],
        ]) {
          const { code, stderr, timedOut } = await runCfn(words);
          expect({ code, timedOut }).toEqual({ code: 64, timedOut: false });
          expect(stderr).toStartWith(`cfn: error: the configuration ${at(name)} ${why}\n`);
        }
      }
    });
  });

  test("schema and reference know every setting", async () => {
    const schema = JSON.parse((await runCfn(["config", "schema"])).stdout);
    const { stdout: page } = await runCfn(["config", "reference"]);
    for (const { section, name, about, expects, fallback, variables, option } of settingList) {
      const { properties, additionalProperties } = schema.properties[section];
      expect(additionalProperties).toBe(false);
      expect(properties[name].description).toBe(about);
      expect(properties[name].default).toEqual(fallback);
      const row = page
        .slice(page.indexOf(`[${section}]`))
        .split("\n")
        .find((line) => line.startsWith(`| \`${name}\``));
      for (const text of [about, expects, ...variables, option ?? ""]) expect(row).toContain(text);
    }
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties.run.properties.agents).toMatchObject({ type: "integer", minimum: 1, maximum: 20_000 });
  });
});

describe("a run has its settings", () => {
  test("from the default file: its shape, the cut of its bus, how many journals are kept", async () => {
    await withSwarm(async ({ directory, run, report }) => {
      const env = configured(
        directory,
        '[run]\ncoordinators = 2\nworkers_per_coordinator = 3\n[bus]\nshards = 3\nbytes = "8MiB"\n[journal]\nkeep = 2\n',
      );
      const script = 'cat "$CFN_BUS_DIR/meta"';
      for (let n = 0; n < 4; n++) {
        const { code, stdout, stderr } = await run(["--", "sh", "-c", script], { env });
        expect(code, stderr).toBe(0);
        expect(JSON.parse(linesOf(stdout)[0] as string)).toMatchObject({ shards: 3, bus_bytes: 8 * 2 ** 20 });
        expect(report().agents).toEqual({ masters: 1, coordinators: 2, workers: 6 });
      }
      expect(readdirSync(`${directory}/state/cfn/runs`)).toHaveLength(2);
    });
  });

  test("and lets an agent end by itself within the grace period, in a flat and in a hybrid swarm", async () => {
    /** What the agent wrote when the run, or with `--timeout` the task, was to end. */
    const graced = async (grace: string, words: readonly string[], env: { CFN_MAX_COORDINATION_TIME?: string }) => {
      let wrote: string[] = [];
      await withSwarm(async ({ directory, run }) => {
        const ended = `${directory}/ended`;
        const agent = `trap 'sleep 0.3; echo ended >${ended}; exit' TERM; sleep 60 & wait`;
        const { code } = await run(["--grace", grace, ...words, "--", "sh", "-c", agent], { env });
        expect(code).toBe(words.includes("--timeout") ? 1 : 124);
        wrote = existsSync(ended) ? linesOf(readFileSync(ended, "utf8")) : [];
      });
      return wrote;
    };
    // Long enough for the agent to be ready by then.
    const LIMIT = "3";
    for (const shape of [[], ["--topology", "hybrid", "--coordinators", "1", "--agents", "1"]]) {
      const ofRun = { CFN_MAX_COORDINATION_TIME: LIMIT };
      const ofTask = [...shape, "--timeout", LIMIT];
      const all = [
        graced("20s", shape, ofRun),
        graced("0", shape, ofRun),
        graced("20s", ofTask, {}),
        graced("0", ofTask, {}),
      ];
      expect(await Promise.all(all)).toEqual([["ended"], [], ["ended"], []]);
    }
  });

  test("when it is resumed too: those that it was begun with, though the file says others by then", async () => {
    await withSwarm(async ({ directory, start, resume, report }) => {
      const token = "a-token-of-24-characters";
      const serving = `[serve]\nlisten = "0.0.0.0:0"\nallow_remote = true\ntoken = "${token}"\n`;
      const env = configured(directory, `[run]\nagents = 3\nretries = 1\n${serving}`);
      const script = `[ "$0" != 3 ] || [ -e again ] || sleep 60; [ "$0" != 2 ]`;
      writeFileSync(`${directory}/tasks`, "1\n2\n3\n");
      const killed = start(["--tasks", "tasks", "--", "sh", "-c", script], { env, cwd: directory });
      const runs = `${directory}/state/cfn/runs`;
      const recorded = (): string => {
        const [journal = ""] = namesIn(runs);
        const results = `${runs}/${journal}/results`;
        return existsSync(results) ? readFileSync(results, "utf8") : "";
      };
      const isRecorded = (task: string): boolean => recorded().includes(`"task_id":"${task}"`);
      await until("two of three have their result", () => isRecorded("1") && isRecorded("2"));
      killed.kill("SIGKILL");
      await killed.outcome;
      const [journal] = readdirSync(runs);
      expect(readFileSync(`${runs}/${journal}/run.json`, "utf8")).not.toContain(token);
      // The secret is the one thing that is read from it again.
      configured(directory, `[run]\nagents = 1\nretries = 0\n[serve]\ntoken = "${token}"\n`);
      writeFileSync(`${directory}/again`, "");
      const { code, stderr } = await resume(undefined, { env }).outcome;
      expect(code, stderr).toBe(1);
      expect(report().agents.workers).toBe(3);
      expect(report().tasks).toMatchObject({ total: 3, completed: 2, failed: 1, retried: 1 });
      rmSync(`${directory}/xdg`, { recursive: true });
    });
  });
});

describe("bus.base_dir", () => {
  test("of the default file is where runs make their bus and message commands look for it", async () => {
    await withDirectory(async (directory) => {
      await withBusBase(async (base) => {
        const env = {
          ...configured(directory, `[bus]\nbase_dir = "${base}"\n`),
          XDG_STATE_HOME: `${directory}/state`,
        };
        const command = ["sh", "-c", "unset CFN_BUS_DIR CFN_MESSAGE_BASE_DIR; cfn agents; cfn send w1 --text x"];
        const { code, stdout, stderr } = await runCfn(["run", "--", ...command], { env });
        expect(code, stderr).toBe(0);
        expect(stdout).toMatch(/^w1 +worker/m);
        const alone = await runCfn(["agent", "ana", "--", "sh", "-c", 'echo "$CFN_BUS_DIR"'], { env });
        expect(alone.stdout).toBe(`${base}/default\n`);
        expect((await runCfn(["agents"], { env })).stderr).toContain(`no bus below ${base}`);
      });
    });
  });

  test("is refused by a message command where it is none, or the file cannot be read", async () => {
    await withDirectory(async (directory) => {
      const path = `${directory}/xdg/cfn/config.toml`;
      const relative = await runCfn(["agents"], { env: configured(directory, '[bus]\nbase_dir = "x"\n') });
      const refusal = `cfn: error: bus.base_dir "x" (${path}): expected an absolute path\n`;
      expect(relative).toMatchObject({ code: 64, stderr: refusal });
      const broken = await runCfn(["agents"], { env: configured(directory, "[bus\n") });
      expect(broken.code).toBe(64);
      expect(broken.stderr).toContain(`cfn config check ${path}`);
      // Who is told where the bus is looks at no file.
      const env = { ...configured(directory, "[bus\n"), CFN_BUS_DIR: `${directory}/none` };
      expect((await runCfn(["agents"], { env })).stderr).not.toContain("configuration");
    });
  });
});

test("bus.inbox_messages is what an inbox holds, bus.send_timeout how long send waits for space", async () => {
  await withDirectory(async (directory) => {
    await withBusBase(async (base) => {
      const env = {
        ...configured(directory, "[bus]\nsend_timeout = 0\ninbox_messages = 50\n"),
        CFN_MESSAGE_BASE_DIR: base,
        XDG_STATE_HOME: `${directory}/state`,
      };
      const script = `seq 51 | sed 's/.*/{"to":"w1","payload":&}/' | cfn send --batch - | wc -l; cfn send w1 --text x`;
      const { stdout, stderr } = await runCfn(["run", "--", "sh", "-c", script], { env });
      expect(stdout.trim()).toBe("50");
      expect(stderr.match(/inbox full/g)).toHaveLength(2);
    });
  });
});
