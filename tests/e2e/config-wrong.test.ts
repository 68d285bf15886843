/**
 * Wrong configurations, each with the message it gives: key, value, limit, and where it came from. Every one ends with 64 before
 * anything is started or written.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { withSwarm } from "../support/swarm.ts";

interface Wrong {
  /** The file that --config names, and its text. */
  readonly file?: readonly [name: string, text: string];
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** What stderr says after "cfn: error: ", without the line of advice; FILE is the path of the file. */
  readonly says: string;
}

const toml = (text: string): readonly [string, string] => ["cfn.toml", text];
const times = "like 500ms, 5s, 2m or 8h";
const sizes = "like 64KiB, 16MiB or 1GiB";

const wrong: readonly Wrong[] = [
  {
    file: toml("[run]\nagents = 0\n"),
    says: "run.agents 0 (FILE line 2): expected a whole number from 1 to 20000",
  },
  {
    file: toml('# five\n[run]\nretries = 1\nagents = "5"\n'),
    says: 'run.agents "5" (FILE line 4): expected a whole number from 1 to 20000',
  },
  { file: toml("[run]\nagent = 5\n"), says: "unknown key run.agent (FILE line 2); did you mean run.agents?" },
  { file: toml("agents = 5\n"), says: "unknown key agents (FILE line 1); did you mean run.agents?" },
  { file: toml("[metric]\nx = 1\n"), says: "unknown key metric.x (FILE line 2); did you mean [metrics]?" },
  { file: toml('"\\u001b[31m" = 1\n'), says: 'unknown key "\\u001b[31m" (FILE line 1)' },
  {
    file: toml(Array.from({ length: 22 }, (_, n) => `x${n} = 1\n`).join("")),
    says: `22 things are wrong with the configuration:${Array.from({ length: 20 }, (_, n) => `\n  unknown key x${n} (FILE line ${n + 1})`).join("")}\n  and 2 more`,
  },
  { file: toml("run = 5\n"), says: "run 5 (FILE line 1): expected a table, as in [run]" },
  {
    file: toml('[run]\ntimeout = "soon"\n'),
    says: `run.timeout "soon" (FILE line 2): expected a duration from 1ms to 720h, ${times}`,
  },
  {
    file: toml("[run]\ngrace = -1\n"),
    says: `run.grace -1 (FILE line 2): expected a duration from 0ms to 1h, ${times}`,
  },
  { file: toml('[run]\nhalt = "later"\n'), says: 'run.halt "later" (FILE line 2): expected never, soon, now' },
  {
    file: toml('[bus]\nbytes = "64KB"\n'),
    says: `bus.bytes "64KB" (FILE line 2): expected a size from 3MiB to 64GiB, ${sizes}`,
  },
  {
    file: toml('[bus]\ninbox_bytes = "1MiB"\n'),
    says: `bus.inbox_bytes "1MiB" (FILE line 2): expected a size from 2MiB to 1GiB, ${sizes}`,
  },
  {
    file: toml('[bus]\nbase_dir = "shm"\n'),
    says: 'bus.base_dir "shm" (FILE line 2): expected an absolute path, like /dev/shm/mine',
  },
  {
    file: toml("[alert]\ndelivery_min = 95\n"),
    says: "alert.delivery_min 95 (FILE line 2): expected a number from 0 to 1",
  },
  {
    file: toml("[alert]\ncommand = []\n"),
    says: "alert.command [] (FILE line 2): expected a command: a text for sh -c, or a list of its words; not empty, without NUL",
  },
  {
    file: toml('[metrics]\nfiles = 0\nenabled = "yes"\n'),
    says:
      "2 things are wrong with the configuration:\n  metrics.files 0 (FILE line 2): expected a whole number from 1 to 100" +
      '\n  metrics.enabled "yes" (FILE line 3): expected true or false',
  },
  {
    file: ["cfn.yaml", "run:\n  agents: many\n"],
    says: 'run.agents "many" (FILE line 2): expected a whole number from 1 to 20000',
  },
  {
    file: ["cfn.json", '{\n  "bus": {\n    "shards": 65\n  }\n}\n'],
    says: "bus.shards 65 (FILE line 3): expected a whole number from 1 to 64",
  },
  {
    env: { CFN_MAX_AGENTS: "0" },
    says: 'run.agents "0" (CFN_MAX_AGENTS): expected a whole number from 1 to 20000',
  },
  {
    env: { CFN_MAX_COORDINATION_TIME: "soon" },
    says: `run.time_limit "soon" (CFN_MAX_COORDINATION_TIME): expected a duration from 1ms to 576h, ${times}`,
  },
  {
    env: { CFN_METRICS_ENABLED: "maybe" },
    says: 'metrics.enabled "maybe" (CFN_METRICS_ENABLED): expected true or false',
  },
  {
    env: { MAX_INBOX_SIZE: "1e9" },
    says: 'bus.inbox_messages "1e9" (MAX_INBOX_SIZE): expected a whole number from 1 to 100000',
  },
  {
    env: { CFN_HEALTH_CHECK_INTERVAL: "30s" },
    says: 'health.stopped_after "10s" (default) and health.interval "30s" (CFN_HEALTH_CHECK_INTERVAL) contradict each other: nobody looks that often',
  },
  {
    env: { CFN_SERVE_TOKEN: "short" },
    says: "serve.token (hidden) (CFN_SERVE_TOKEN): expected 16 to 4096 ASCII characters without a space",
  },
  {
    file: toml("[run]\nagents = 0\n"),
    env: { CFN_MAX_AGENTS: "5" },
    says: "run.agents 0 (FILE line 2): expected a whole number from 1 to 20000",
  },
  {
    env: { CFN_MAX_AGENTS: "0" },
    args: ["--agents", "5"],
    says: 'run.agents "0" (CFN_MAX_AGENTS): expected a whole number from 1 to 20000',
  },
  { args: ["--agents", "20001"], says: '--agents "20001": expected a whole number from 1 to 20000' },
  { args: ["--grace", "2h"], says: `--grace "2h": expected a duration from 0ms to 1h, ${times}` },
  {
    file: toml('[run]\ntopology = "flat"\n'),
    args: ["--coordinators", "3"],
    says: 'run.topology "flat" (FILE line 2) and run.coordinators 3 (--coordinators) contradict each other: a flat swarm has one coordinator',
  },
  {
    file: toml("[run]\ncoordinators = 2\n"),
    env: { CFN_WORKERS_PER_COORDINATOR: "4" },
    args: ["--agents", "10"],
    says: "run.agents 10 (--agents) and run.coordinators 2 (FILE line 2) and run.workers_per_coordinator 4 (CFN_WORKERS_PER_COORDINATOR) contradict each other: 10 agents do not fit 2 coordinators with 4 workers each",
  },
  {
    file: toml('[bus]\nbytes = "8MiB"\ninbox_bytes = "32MiB"\n'),
    says: 'bus.inbox_bytes "32MiB" (FILE line 3) and bus.bytes "8MiB" (FILE line 2) contradict each other: an inbox cannot hold more than its bus',
  },
  {
    file: toml('[serve]\nlisten = "0.0.0.0:9464"\n'),
    says: 'serve.listen "0.0.0.0:9464" (FILE line 2) and serve.allow_remote false (default) and serve.token not set (default) contradict each other: other machines reach that address',
  },
  {
    file: toml("[run]\nagents = 1\n\n[bus]\nshards =\n"),
    says: "the configuration FILE line 5: TOML Parse error: Missing value after '='; values must be on the same line",
  },
  {
    file: ["cfn.json", '{\n  "run": {\n    "agents": 1,\n  }\n}\n'],
    says: "the configuration FILE line 4: JSON Parse error: Property name must be a string literal",
  },
  {
    file: ["cfn.ini", "agents=1\n"],
    says: "the configuration FILE has none of the endings .toml, .yaml, .yml and .json",
  },
];

describe("a wrong configuration is refused with 64, and nothing is started or written", () => {
  test("there are more than twenty", () => {
    expect(wrong.length).toBeGreaterThan(20);
  });

  test.each(wrong)("$says", async ({ file, env = {}, args = [], says }) => {
    await withSwarm(async ({ directory, run, processes }) => {
      const path = file === undefined ? "" : `${directory}/${file[0]}`;
      if (file !== undefined) writeFileSync(path, file[1]);
      const config = file === undefined ? [] : ["--config", path];
      const command = ["sh", "-c", `touch ${directory}/ran`];
      const { code, stdout, stderr } = await run([...config, ...args, "--", ...command], { env });
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toStartWith(`cfn: error: ${says.replaceAll("FILE", path)}\n`);
      expect(processes()).toEqual([]);
      // No journal, no report, no mark of the command; the bus base is looked at by `withSwarm`.
      expect(readdirSync(directory)).toEqual(file === undefined ? [] : [file[0]]);
      expect(existsSync(`${directory}/state`)).toBe(false);
    });
  });
});
