import { describe, expect, test } from "bun:test";
import { needsOf } from "../../src/coordinator/preflight.ts";
import type { RunReport } from "../../src/coordinator/report.ts";
import { bytesText, failed, ok, verdictOf, warn } from "../../src/doctor/check.ts";
import { groupCheck, type KernelFacts, kernelCheck, procCheck, shellCheck } from "../../src/doctor/kernel.ts";
import { dropIns, type LogindFacts, removeIpcCheck, removesIpc } from "../../src/doctor/logind.ts";
import * as resources from "../../src/doctor/resources.ts";
import { judgeSmoke } from "../../src/doctor/smoke.ts";
import { type Clues, clockCheck, environmentCheck, machineOf } from "../../src/doctor/surroundings.ts";
import { doctorTable } from "../../src/doctor/table.ts";
import { mountOf } from "../../src/os/mounts.ts";

const MiB = 2 ** 20;
const none = Number.POSITIVE_INFINITY;

describe("the limits", () => {
  const needs = needsOf({ topology: "flat", teams: [100], workers: 100 });
  const there = (free: number) => ({
    descriptors: { soft: none, hard: none },
    processes: { free, limit: 4096, what: "ulimit -u" },
    freeBytes: none,
    freeFiles: none,
    busPlace: "/",
  });

  test("of processes leave room for one child of each agent, or are a warning", () => {
    expect(resources.processesCheck(there(216), needs, 100, undefined).verdict).toBe("ok");
    expect(resources.processesCheck(there(215), needs, 100, undefined)).toMatchObject({
      verdict: "warn",
      figure: "215 more (ulimit -u is 4096), 100 agents need 116",
    });
    expect(resources.processesCheck(there(none), needs, 100, undefined).verdict).toBe("ok");
  });

  const bounds = {
    fileBytes: { soft: none, hard: none },
    addressBytes: { soft: none, hard: none },
    openFiles: { open: 1000, most: 10_000 },
    overcommit: 0,
  };
  test.each([
    ["nothing bounded", bounds, "ok ok ok"],
    ["files of 1 MiB", { ...bounds, fileBytes: { soft: MiB, hard: none } }, "fail ok ok"],
    ["files of 100 MiB", { ...bounds, fileBytes: { soft: 100 * MiB, hard: none } }, "warn ok ok"],
    ["addresses bounded", { ...bounds, addressBytes: { soft: 2 ** 40, hard: none } }, "ok warn ok"],
    ["memory reserved strictly", { ...bounds, overcommit: 2 }, "ok warn ok"],
    ["few files left on the machine", { ...bounds, openFiles: { open: 9900, most: 10_000 } }, "ok ok warn"],
    ["a kernel that does not say", { ...bounds, openFiles: undefined, overcommit: undefined }, "ok ok ok"],
  ])("of files and addresses: %s", (_, limits, verdicts) => {
    const checks = [
      resources.fileSizeCheck(limits),
      resources.addressSpaceCheck(limits),
      resources.machineFilesCheck(limits, 1),
    ];
    expect(checks.map(({ verdict }) => verdict).join(" ")).toBe(verdicts);
  });

  test("of memory are the tighter of the machine's and the control group's", () => {
    const memory = (availableBytes: number, groupFreeBytes: number) =>
      resources.memoryCheck({ availableBytes, groupFreeBytes, group: "/g" }, 100, 1);
    expect(memory(1080 * MiB, none).figure).toBe("1.05 GiB available: 10 MiB for each of 100 agents");
    expect(memory(1080 * MiB, 100 * MiB)).toMatchObject({
      verdict: "warn",
      figure: "100 MiB available below /g/memory.max: 205 KiB for each of 100 agents",
    });
  });

  test("of processor time warn below one core", () => {
    const cpu = (quota: number) => resources.processorsCheck({ cores: 8, quota, group: "/g" });
    expect(cpu(none)).toEqual(ok("processors", "8"));
    expect(cpu(1.5)).toEqual(ok("processors", "8, of which /g/cpu.max allows 1.5"));
    expect(cpu(0.25).verdict).toBe("warn");
  });
});

describe("the kernel", () => {
  const whole: KernelFacts = {
    release: "6.1",
    memoryFile: true,
    subreaper: true,
    parentDeathSignal: true,
    shell: undefined,
    missingPrograms: [],
    proc: true,
    locks: true,
    pressure: true,
    group: true,
  };
  test.each([
    ["whole", {}, "ok ok ok ok"],
    ["without memfd", { memoryFile: false }, "fail ok ok ok"],
    ["without a subreaper", { subreaper: false }, "warn ok ok ok"],
    ["without a shell", { shell: "command not found: /bin/sh" }, "ok fail ok ok"],
    ["without grep", { missingPrograms: ["grep"] }, "ok warn ok ok"],
    ["without /proc", { proc: false }, "ok ok fail ok"],
    ["without /proc/locks", { locks: false }, "ok ok warn ok"],
    ["without pressure", { pressure: false }, "ok ok ok ok"],
    ["without a control group", { group: false }, "ok ok ok warn"],
  ])("%s", (_, facts, verdicts) => {
    const checks = [kernelCheck, shellCheck, procCheck, groupCheck].map((check) => check({ ...whole, ...facts }));
    expect(checks.map(({ verdict }) => verdict).join(" ")).toBe(verdicts);
  });
});

describe("RemoveIPC", () => {
  test.each([
    ["nothing", [], true],
    ["a comment", ["[Login]\n#RemoveIPC=no\n"], true],
    ["no", ["[Login]\nRemoveIPC=no\n"], false],
    ["another section", ["[Other]\nRemoveIPC=no\n"], true],
    ["a drop-in after the main file", ["[Login]\nRemoveIPC=yes", "[Login]\n RemoveIPC = 0 "], false],
    ["an empty assignment, which restores the default", ["[Login]\nRemoveIPC=no\nRemoveIPC=\n"], true],
  ])("is on or off by %s", (_, texts, expected) => {
    expect(removesIpc(texts)).toBe(expected);
  });

  test("reads drop-ins by name, each from the first directory that has it", () => {
    const directories = [
      { path: "/etc", names: ["50-a.conf", "README"] },
      { path: "/usr", names: ["50-a.conf", "10-b.conf"] },
    ];
    expect(dropIns(directories)).toEqual(["/usr/10-b.conf", "/etc/50-a.conf"]);
  });

  const trap: LogindFacts = {
    running: true,
    texts: [],
    uid: 1000,
    systemUidMost: 999,
    user: "ann",
    lingers: false,
    base: "/dev/shm/cfn-1000",
  };
  test.each([
    ["a user who logs out", {}, "warn"],
    ["one who lingers", { lingers: true }, "ok"],
    ["a system's user", { uid: 999 }, "ok"],
    ["a machine without logind", { running: false }, "ok"],
    ["RemoveIPC=no", { texts: ["[Login]\nRemoveIPC=false"] }, "ok"],
    ["a bus elsewhere", { base: "/run/user/1000/cfn" }, "ok"],
  ])("is a trap for a user who logs out: %s", (_, facts, verdict) => {
    expect(String(removeIpcCheck({ ...trap, ...facts }).verdict)).toBe(verdict);
  });
});

test("a machine is told by what it leaves to see", () => {
  const bare: Clues = {
    dockerFile: false,
    podmanFile: false,
    declared: "",
    kubernetes: false,
    processVersion: "Linux version 6.1",
    controlGroups: "0::/user.slice",
    hardware: "LENOVO 20XW",
    hypervisorFlag: false,
  };
  const cases: readonly [Partial<Clues>, string][] = [
    [{}, "no container"],
    [{ processVersion: "Linux version 5.15 Microsoft" }, "WSL"],
    [{ dockerFile: true }, "a container (docker)"],
    [{ dockerFile: true, kubernetes: true }, "a container (kubernetes)"],
    [{ podmanFile: true }, "a container (podman)"],
    [{ declared: "lxc" }, "a container (lxc)"],
    [{ controlGroups: "0::/kubepods.slice/x" }, "a container (kubepods)"],
    [{ hardware: "QEMU Standard PC", hypervisorFlag: true }, "a virtual machine (QEMU)"],
    [{ hypervisorFlag: true }, "a virtual machine"],
  ];
  for (const [clues, expected] of cases) expect(machineOf({ ...bare, ...clues })).toStartWith(expected);
});

test("variables that change how Bun runs, and a clock before its time, are warnings", () => {
  expect(environmentCheck({ PATH: "/bin" }).verdict).toBe("ok");
  expect(environmentCheck({ BUN_OPTIONS: "--smol" })).toMatchObject({ verdict: "warn", remedy: "unset BUN_OPTIONS" });
  expect(clockCheck(1_900_000_000).verdict).toBe("ok");
  expect(clockCheck(0)).toMatchObject({ verdict: "warn", figure: "1970-01-01T00:00:00Z" });
});

test("the mount of a path is the longest above it, of two on one point the later", () => {
  const at = (point: string, type: string) => ({ point, root: "/", type, options: [] });
  const all = [at("/", "ext4"), at("/dev", "devtmpfs"), at("/dev/shm", "old"), at("/dev/shm", "tmpfs")];
  for (const [path, type] of [
    ["/dev/shm/cfn", "tmpfs"],
    ["/dev/shm", "tmpfs"],
    ["/dev/shmx", "devtmpfs"],
    ["/tmp", "ext4"],
  ] as const)
    expect(mountOf(path, all)?.type).toBe(type);
});

describe("the smoke test", () => {
  const report = { delivery: { rate: 1, delivered: 6, expected: 6 }, coordination_time_ms: 99.6 } as RunReport;
  const ring = "w2 from w1\nw1 from w3\nw3 from w2\n";
  test("passes when the run and each agent of the ring have received everything", () => {
    expect(judgeSmoke(ring, "", 0, report).figure).toContain("6 of 6 messages of the run and 3 of 3 between agents");
  });
  test.each([
    ["an agent that heard nothing", "w2 from w1\n", 0, report],
    ["a wrong sender", ring.replace("w3 from w2", "w3 from w1"), 0, report],
    ["a status", ring, 1, report],
    ["a lost message", ring, 0, { ...report, delivery: { ...report.delivery, rate: 0.9 } }],
    ["no report", ring, 0, undefined],
  ])("fails for %s", (_, output, code, seen) => {
    expect(judgeSmoke(output, "cfn: error: why\n", code, seen as RunReport)).toMatchObject({
      verdict: "fail",
      remedy: "cfn: error: why",
    });
  });
});

test("the table has a line per check, the remedy below it, and says what it comes to", () => {
  const checks = [ok("a", "fine"), warn("long_name", "so", "do this"), failed("c", "bad", "do that")];
  expect(verdictOf(checks)).toBe("fail");
  const seen = { schema: "cfn.doctor/1", verdict: "fail", agents: 100, room: 7, checks } as const;
  expect(doctorTable(seen)).toBe(
    [
      "ok    a          fine",
      "warn  long_name  so",
      "                 → do this",
      "FAIL  c          bad",
      "                 → do that",
      "not ready for 100 agents: c; a flat swarm of up to 7 fits",
      "",
    ].join("\n"),
  );
  const fixed = [{ kind: "bus", path: "/x", bytes: 1 }] as const;
  expect(doctorTable({ ...seen, checks: [ok("a", "fine")], fixed })).toBe(
    "removed bus /x\nok    a  fine\nready for 100 agents (a flat swarm of up to 7 fits)\n",
  );
});

test("sizes are said with three digits", () => {
  expect([0, 1023, 1024, 64 * MiB, 1.5 * 2 ** 30, 1010 * MiB, none].map(bytesText)).toEqual([
    "0 B",
    "1023 B",
    "1 KiB",
    "64 MiB",
    "1.5 GiB",
    "1010 MiB",
    "unlimited",
  ]);
});
