/** `cfn doctor` on machines made by namespaces, and with what a killed run left. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import type { Examination } from "../../src/doctor/examine.ts";
import { type CommandOutcome, cfnBinary, runCfn, runCommand, startCfn } from "../support/binary.ts";
import { namesIn, withBusBase } from "../support/bus.ts";
import { until } from "../support/swarm.ts";

const mayUnshare = Bun.spawnSync(["unshare", "-m", "-p", "-f", "true"]).exitCode === 0;
const onMachines = describe.skipIf(!mayUnshare);

/** A place that another user reaches, with a copy of the binary, and where temporary files go. */
const place = mkdtempSync(`${tmpdir()}/cfn-doctor-`);
Bun.spawnSync(["chmod", "1777", place]);
const binary = `${place}/cfn`;
if (mayUnshare) copyFileSync(cfnBinary, binary);
afterAll(() => rmSync(place, { recursive: true, force: true }));

async function onMachine(prepare: string, script: string): Promise<CommandOutcome> {
  const then = "status=$?; find /dev/shm -mindepth 1 ! -name kept* >&2; exit $status";
  const outcome = await runCommand(
    ["unshare", "-m", "--propagation", "private", "sh", "-c", `${prepare}\n${script}\n${then}`, binary],
    { env: { TMPDIR: place, XDG_RUNTIME_DIR: undefined }, timeoutMs: 60_000 },
  );
  expect(
    readdirSync(place).filter((name) => name !== "cfn"),
    "left where temporary files go",
  ).toEqual([]);
  return outcome;
}

const mounted = (options: string): string => `mount -t tmpfs -o ${options} tmpfs /dev/shm`;
const seenIn = ({ stdout }: CommandOutcome): Examination => JSON.parse(stdout) as Examination;
const checkOf = (outcome: CommandOutcome, name: string) => seenIn(outcome).checks.find((check) => check.name === name);

onMachines("cfn doctor", () => {
  const cases: readonly [string, string, string, number, Readonly<Record<string, readonly [string, string]>>][] = [
    [
      "64 MiB",
      mounted("size=64m,mode=1777"),
      "--agents 708",
      0,
      { dev_shm: ["ok", "64 MiB free"], bus_space: ["ok", "32 MiB"] },
    ],
    [
      "16 MiB",
      mounted("size=16m,mode=1777"),
      "--agents 708",
      0,
      { dev_shm: ["ok", "16 MiB"], bus_space: ["warn", "8 MiB"] },
    ],
    [
      "16 MiB, for too many",
      mounted("size=16m,mode=1777"),
      "--agents 5000",
      1,
      { bus_space: ["fail", "5000 agents need"] },
    ],
    [
      "4 MiB",
      mounted("size=4m,mode=1777"),
      "",
      0,
      { dev_shm: ["warn", "too small"], bus_place: ["warn", "instead of"] },
    ],
    ["read-only", mounted("ro"), "", 0, { dev_shm: ["warn", "read-only"], bus_place: ["warn", "/dev/shm/cfn"] }],
    [
      "read-only, and no other place",
      `${mounted("ro")}; mount -t tmpfs -o ro tmpfs "$TMPDIR"`,
      "",
      1,
      { bus_place: ["fail", "no place"] },
    ],
    ["noexec, nosuid and nodev", mounted("size=1g,mode=1777,noexec,nosuid,nodev"), "", 0, { dev_shm: ["ok", "1 GiB"] }],
    [
      "full of inodes",
      mounted("size=1g,mode=1777,nr_inodes=50"),
      "",
      0,
      { dev_shm: ["warn", "files"], bus_place: ["warn", "instead of"] },
    ],
    ["somebody else's", mounted("size=1g,mode=1777,uid=1234"), "", 0, { dev_shm: ["warn", "user 1234"] }],
    ["not sticky", mounted("size=1g,mode=0777"), "", 0, { dev_shm: ["warn", "sticky"] }],
  ];
  test.each(cases)("where /dev/shm is %s", async (_, prepare, options, code, expected) => {
    // The binary may stand below what is mounted over.
    const outcome = await onMachine(`exec 9<"$0"; ${prepare}`, `/proc/self/fd/9 doctor --json ${options}`);
    expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code, stderr: "" });
    for (const [name, [verdict, figure]] of Object.entries(expected)) {
      expect(checkOf(outcome, name)).toMatchObject({ verdict, figure: expect.stringContaining(figure) });
    }
    expect(seenIn(outcome).verdict === "fail").toBe(code === 1);
  });

  test("where /dev/shm is absent", async () => {
    const prepare = "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3";
    const outcome = await onMachine(prepare, '"$0" doctor --json');
    expect(outcome.code).toBe(0);
    expect(checkOf(outcome, "dev_shm")).toMatchObject({ verdict: "warn", figure: "/dev/shm does not exist" });
  });

  test.each([
    ["a symbolic link", "mkdir /dev/shm/kept; ln -s kept /dev/shm/cfn", "is a symlink"],
    ["somebody else's", "mkdir -m 700 /dev/shm/cfn; chown 1234 /dev/shm/cfn", "belongs to user 1234"],
    ["open to others", "mkdir /dev/shm/cfn; chmod 777 /dev/shm/cfn", "is open to others"],
  ])("fails, and touches nothing, where the base of the buses is %s", async (_, prepare, why) => {
    const outcome = await onMachine(`${mounted("mode=1777")}; ${prepare}`, '"$0" doctor --json --fix');
    expect(outcome).toMatchObject({ code: 1, stderr: "/dev/shm/cfn\n" });
    expect(checkOf(outcome, "bus_place")?.figure).toContain(why);
  });

  test("fails where a process may open too few files, and raises what it may", async () => {
    const at = (limit: string) => onMachine(`${mounted("mode=1777")}; ulimit ${limit}`, '"$0" doctor --json');
    expect(await at("-n 200").then((outcome) => checkOf(outcome, "open_files"))).toMatchObject({ verdict: "fail" });
    // What may be raised is raised.
    expect(await at("-Sn 200").then((outcome) => checkOf(outcome, "open_files"))).toMatchObject({ verdict: "ok" });
  });

  test("fails where a user may have too few processes, with how many agents fit", async () => {
    const user = 'setpriv --reuid 65534 --regid 65534 --clear-groups prlimit --nproc=300 "$0"';
    const outcome = await onMachine(mounted("mode=1777"), `${user} doctor --agents 708 --json`);
    expect(outcome.code).toBe(1);
    expect(checkOf(outcome, "processes")?.figure).toContain("ulimit -u (300)");
    expect(seenIn(outcome).room).toBeWithin(1, 300);
  });

  test("runs a small swarm with --smoke, beside the bus or where it falls back to", async () => {
    for (const options of ["size=64m,mode=1777", "ro"]) {
      const outcome = await onMachine(mounted(options), '"$0" doctor --smoke');
      expect(outcome).toMatchObject({ code: 0, stderr: "" });
      expect(outcome.stdout).toMatch(/^ok +smoke_test +3 agents, 6 of 6 .* 3 of 3 between agents arrived/m);
    }
  });
});

const runsIn = (base: string): string[] => namesIn(base).filter((name) => name.startsWith("run-"));

/** Starts a run and kills it with its agents and its guardian: whoever could have cleaned up. Returns its id. */
async function killedRun(env: Readonly<Record<string, string>>, base: string): Promise<string> {
  const before = runsIn(base);
  const ours = (): string[] => runsIn(base).filter((name) => !before.includes(name));
  const run = startCfn(["run", "--agents", "2", "--", "sleep", "1000"], { env });
  await until("the bus", () => ours().length > 0);
  const id = (ours()[0] as string).replace("run-", "");
  const agents = (): number[] => processesWith(`CFN_RUN_ID=${id}`);
  await until("two agents", () => agents().length === 2);
  const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "latin1");
  const guardian = childrenOf(run.pid).filter((pid) => commandOf(pid).includes("guardian"));
  expect(guardian).toHaveLength(1);
  for (const pid of [...guardian, run.pid, ...agents()]) process.kill(pid, "SIGKILL");
  await run.outcome;
  return id;
}

const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );

const processesWith = (variable: string): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(variable);
      } catch {
        return false; // It has ended.
      }
    })
    .map(Number);

describe("the settings that it judges by", () => {
  const doctor = (env: Readonly<Record<string, string>>, ...words: string[]) =>
    runCfn(["doctor", "--json", ...words], { env });

  test("come from the configuration file, variables over that, options over both", async () => {
    await withBusBase(async (base) => {
      const home = mkdtempSync(`${tmpdir()}/cfn-doctor-settings-`);
      const plain = { XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, TMPDIR: home, CFN_MESSAGE_BASE_DIR: "" };
      mkdirSync(`${home}/cfn`);
      writeFileSync(`${home}/cfn/config.toml`, `[run]\nagents = 5\n[bus]\nbase_dir = "${base}"\n`);
      writeFileSync(`${home}/other.toml`, "[run]\nagents = 6\n");
      const fromFile = await doctor(plain);
      expect({ code: fromFile.code, stderr: fromFile.stderr }).toEqual({ code: 0, stderr: "" });
      expect(seenIn(fromFile).agents).toBe(5);
      expect(checkOf(fromFile, "bus_place")?.figure).toContain(base);
      expect(seenIn(await doctor(plain, `--config=${home}/other.toml`)).agents).toBe(6);
      expect(seenIn(await doctor({ ...plain, CFN_MAX_AGENTS: "7" })).agents).toBe(7);
      expect(seenIn(await doctor({ ...plain, CFN_MAX_AGENTS: "7" }, "--agents", "8")).agents).toBe(8);
      rmSync(home, { recursive: true });
    });
  });

  test("are refused where they are wrong, as by a run, and nothing is examined", async () => {
    const home = mkdtempSync(`${tmpdir()}/cfn-doctor-settings-`);
    writeFileSync(`${home}/wrong.toml`, '[run]\nagents = "many"\n');
    const outcome = await doctor({ TMPDIR: home }, `--config=${home}/wrong.toml`);
    expect(outcome).toMatchObject({ code: 64, stdout: "" });
    expect(outcome.stderr).toContain(`run.agents "many" (${home}/wrong.toml line 2)`);
    rmSync(home, { recursive: true });
  });
});

describe("what a killed run left", () => {
  test("is listed, removed by --fix, once, and can still be resumed; what lives is left alone", async () => {
    await withBusBase(async (base) => {
      const state = mkdtempSync(`${tmpdir()}/cfn-state-`);
      const env = { CFN_MESSAGE_BASE_DIR: base, XDG_STATE_HOME: state, TMPDIR: state };
      const doctor = async (...options: string[]) => {
        const outcome = await runCfn(["doctor", "--json", ...options], { env });
        expect(outcome).toMatchObject({ code: 0, stderr: "" });
        return outcome;
      };
      const spool = (id: string): string => `${state}/cfn-${process.geteuid?.()}-${id}`;
      try {
        expect((await runCommand(["mkfifo", `${state}/fifo`])).code).toBe(0);
        const living = startCfn(["run", "--", "sh", "-c", 'read -r x < "$0"; echo "$x"', `${state}/fifo`], { env });
        await until("a run that lives", () => runsIn(base).length === 1);
        const lives = (runsIn(base)[0] as string).replace("run-", "");
        const dead = await killedRun(env, base);
        for (const id of [dead, lives, "000000000000"]) mkdirSync(spool(id));
        mkdirSync(`${base}/.new-1-1-doctor`);

        const listed = checkOf(await doctor(), "leftovers");
        expect(listed).toMatchObject({ verdict: "warn", remedy: expect.stringContaining("--fix") });
        expect(listed?.figure).toContain(`run-${dead}`);
        expect(runsIn(base)).toHaveLength(2);

        const { fixed = [] } = seenIn(await doctor("--fix"));
        const own = fixed.filter(({ kind }) => kind !== "control group").map(({ path }) => path);
        expect(own.toSorted()).toEqual([`${base}/.new-1-1-doctor`, `${base}/run-${dead}`, spool(dead)].toSorted());
        const again = await doctor("--fix");
        expect(seenIn(again).fixed).toEqual([]);
        expect(checkOf(again, "leftovers")?.verdict).toBe("ok");
        expect(checkOf(again, "unfinished_runs")?.figure).toBe(`1, to be finished by cfn run --resume=ID: ${dead}`);
        // Of these one is in use, and nobody can say whether the other is.
        expect([lives, "000000000000"].map((id) => existsSync(spool(id)))).toEqual([true, true]);

        await Bun.write(`${state}/fifo`, "go\n");
        expect(await living.outcome).toMatchObject({ code: 0, stdout: "go\n", stderr: "" });
      } finally {
        rmSync(state, { recursive: true, force: true });
      }
    });
  });
});

test("runs that start while others clear up are not harmed", async () => {
  await withBusBase(async (base) => {
    const state = mkdtempSync(`${tmpdir()}/cfn-state-`);
    const env = { CFN_MESSAGE_BASE_DIR: base, XDG_STATE_HOME: state, TMPDIR: state };
    try {
      const running = ["a", "b", "c"].map(async () => {
        for (let n = 0; n < 6; n++) {
          const talk = 'cfn send "$CFN_AGENT_ID" --text hi; cfn recv';
          const outcome = await runCfn(["run", "--agents", "2", "--", "sh", "-c", talk], { env });
          expect(outcome).toMatchObject({ code: 0, stderr: "" });
        }
      });
      let over = false;
      const clearing = ["x", "y"].map(async () => {
        while (!over) expect((await runCfn(["doctor", "--fix"], { env })).code).toBe(0);
      });
      await Promise.all(running).finally(() => {
        over = true;
      });
      await Promise.all(clearing);
    } finally {
      rmSync(state, { recursive: true, force: true });
    }
  });
});

test("a smoke test that is interrupted leaves nothing", async () => {
  await withBusBase(async (base) => {
    const tmp = mkdtempSync(`${tmpdir()}/cfn-smoke-`);
    try {
      const env = { CFN_MESSAGE_BASE_DIR: base, TMPDIR: tmp };
      const doctor = startCfn(["doctor", "--smoke"], { env });
      await until("its swarm", () => runsIn(base).length > 0);
      doctor.kill("SIGTERM");
      expect(await doctor.outcome).toMatchObject({ code: 143, stdout: "", stderr: "" });
      expect(readdirSync(tmp)).toEqual([]);
    } finally {
      rmSync(tmp, { recursive: true, force: true });
    }
  });
});
