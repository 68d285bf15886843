/**
 * Machines that are small or odd, made by mount and pid namespaces: `cfn run` works there, or refuses before it starts
 * and says what to do. Needs the right to make namespaces (root in CI); without it these tests are skipped.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { type CommandOutcome, cfnBinary, runCommand } from "../support/binary.ts";
import { linesOf } from "../support/swarm.ts";

const mayUnshare = Bun.spawnSync(["unshare", "-m", "-p", "-f", "true"]).exitCode === 0;
const onMachines = describe.skipIf(!mayUnshare);

/** A place that another user reaches, with a copy of the binary, and where /tmp is for these runs. */
const place = mkdtempSync(`${tmpdir()}/cfn-machines-`);
Bun.spawnSync(["chmod", "1777", place]);
const binary = `${place}/cfn`;
if (mayUnshare) copyFileSync(cfnBinary, binary);
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** Runs `script` where `$0` is cfn and `prepare` has changed the machine; `then` looks at what is left. */
async function onMachine(
  prepare: string,
  script: string,
  then = "find /dev/shm -mindepth 1 >&2",
): Promise<CommandOutcome> {
  const all = `${prepare}\n${script}\nstatus=$?\n${then}\nexit $status`;
  const outcome = await runCommand(["unshare", "-m", "--propagation", "private", "sh", "-c", all, binary], {
    env: { TMPDIR: place, XDG_RUNTIME_DIR: undefined },
    timeoutMs: 60_000,
  });
  expect(
    readdirSync(place).filter((name) => name !== "cfn"),
    "left where temporary files go",
  ).toEqual([]);
  return outcome;
}

const mounted = (options: string): string => `mount -t tmpfs -o ${options} tmpfs /dev/shm`;
const swarm = (topology: string): string =>
  `"$0" run --topology ${topology} --agents 708 -- sh -c 'echo "$CFN_AGENT_ID"'`;
const ids = (outcome: CommandOutcome): number => new Set(linesOf(outcome.stdout)).size;

onMachines("708 agents, flat and hybrid,", () => {
  test.each([
    ["64 MiB, as Docker gives it", mounted("size=64m"), ""],
    ["16 MiB", mounted("size=16m"), ""],
    ["4 MiB, too small for a bus", mounted("size=4m"), "/dev/shm has 4194304 bytes free"],
    ["read-only", mounted("ro"), "/dev/shm is not writable"],
    ["absent", "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3", "/dev/shm does not exist"],
  ])("run where /dev/shm is %s", async (_, prepare, warning) => {
    for (const topology of ["flat", "hybrid"]) {
      const then = warning.includes("not exist") ? ":" : undefined;
      const outcome = await onMachine(prepare, swarm(topology), then);
      expect({ topology, code: outcome.code, ids: ids(outcome) }).toEqual({ topology, code: 0, ids: 708 });
      if (warning === "") expect(outcome.stderr).toBe("");
      else expect(outcome.stderr).toContain(warning);
    }
  });

  test("run with 1024 descriptors", async () => {
    for (const topology of ["flat", "hybrid"]) {
      const outcome = await onMachine(`${mounted("size=64m")}; ulimit -n 1024`, swarm(topology));
      expect({ topology, code: outcome.code, ids: ids(outcome), stderr: outcome.stderr }).toEqual({
        topology,
        code: 0,
        ids: 708,
        stderr: "",
      });
    }
  });

  test("run as a user who is not root", async () => {
    for (const topology of ["flat", "hybrid"]) {
      const user = `setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_STATE_HOME="$XDG_STATE_HOME/other" ${swarm(topology)}`;
      const outcome = await onMachine(mounted("size=64m,mode=1777"), user);
      expect({ topology, code: outcome.code, ids: ids(outcome), stderr: outcome.stderr }).toEqual({
        topology,
        code: 0,
        ids: 708,
        stderr: "",
      });
    }
  });

  test("run with cfn as PID 1 of a pid namespace", async () => {
    for (const topology of ["flat", "hybrid"]) {
      const contained = `unshare --pid --fork --mount-proc ${swarm(topology)}`;
      const outcome = await onMachine(mounted("size=64m"), contained);
      expect({ topology, code: outcome.code, ids: ids(outcome) }).toEqual({ topology, code: 0, ids: 708 });
    }
  });
});

onMachines("a swarm is refused before it starts, with the remedy,", () => {
  test("where there are too few descriptors and no right to more", async () => {
    const outcome = await onMachine(`${mounted("size=64m")}; ulimit -n 100`, `"$0" run -- echo ran`);
    expect(outcome).toMatchObject({ code: 69, stdout: "" });
    expect(outcome.stderr).toContain("raise it: ulimit -n");
  });

  test("where there are too few processes", async () => {
    const limited = `setpriv --reuid 65534 --regid 65534 --clear-groups prlimit --nproc=300 ${swarm("flat")}`;
    const outcome = await onMachine(mounted("size=64m,mode=1777"), limited);
    expect(outcome).toMatchObject({ code: 69, stdout: "" });
    expect(outcome.stderr).toContain("ulimit -u (300)");
    expect(outcome.stderr).toContain("at most --agents ");
  });

  test("where the space does not hold that many", async () => {
    const outcome = await onMachine(mounted("size=8m"), `"$0" run --agents 5000 -- echo ran`);
    expect(outcome).toMatchObject({ code: 69, stdout: "" });
    expect(outcome.stderr).toContain("CFN_MESSAGE_BASE_DIR");
  });
});

onMachines("an agent that floods its output", () => {
  test("cannot fill a small /dev/shm that the others' messages need", async () => {
    const tasks = '{"run":"head -c 100000000 /dev/zero"}\n{"run":"sleep 0.3; cfn agents | grep -c w2"}\n';
    const script = `printf '%s' '${tasks}' | "$0" run --agents 2 --tasks - --json | cut -c 1-60`;
    const outcome = await onMachine(mounted("size=16m"), script);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(linesOf(outcome.stdout)).toHaveLength(2);
    expect(statSync(place).isDirectory()).toBe(true);
  });
});

onMachines("a run whose journal has no room", () => {
  const state = (options: string): string => `mount -t tmpfs -o ${options} tmpfs "$XDG_STATE_HOME"`;
  // Where not even the line of the run's end found room, the whole journal is gone: the run has nothing to resume.
  const whole = `cd "$XDG_STATE_HOME"; cat cfn/runs/*/results 2>/dev/null | grep -v '}$' | head -3 >&2`;

  test("goes on without it, says so once, and leaves whole lines", async () => {
    for (const topology of ["flat", "hybrid"]) {
      const outcome = await onMachine(state("size=48k"), swarm(topology), whole);
      expect({ topology, code: outcome.code, ids: ids(outcome) }).toEqual({ topology, code: 0, ids: 708 });
      const said = linesOf(outcome.stderr).sort();
      const noRoom = [/^cfn: warn: cannot write the journal .*results: no space left on device; /];
      // The metrics lie beside it. They may find room where the last line of the journal did not.
      if (said.length > 1) noRoom.push(/^cfn: warn: this run's metrics stop here: .*: no space left on device$/);
      expect(said).toEqual(noRoom.map((each) => expect.stringMatching(each) as unknown as string));
    }
  });

  test("from the start, or may not write it, says that it cannot be resumed", async () => {
    for (const [options, why] of [
      ["ro", "read-only file system"],
      ["nr_inodes=4", "no space left on device"],
    ] as const) {
      const outcome = await onMachine(state(options), '"$0" run -- echo ran', "true");
      expect(outcome).toMatchObject({ code: 0, stdout: "ran\n" });
      expect(outcome.stderr).toMatch(/^cfn: warn: no journal, so --resume will not be possible for this run: .*\n$/);
      expect(outcome.stderr).toContain(why);
    }
  });
});
