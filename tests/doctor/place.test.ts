import { describe, expect, test } from "bun:test";
import type { Base } from "../../src/bus/directory.ts";
import type { Check } from "../../src/doctor/check.ts";
import {
  filesCheck,
  outputCheck,
  placeCheck,
  resumableCheck,
  type ShmFacts,
  shmCheck,
  spaceCheck,
  stateCheck,
} from "../../src/doctor/place.ts";
import { CfnError } from "../../src/errors.ts";

const MiB = 2 ** 20;
const seen = ({ verdict, figure, remedy }: Check): string =>
  `${verdict}: ${figure}${remedy === undefined ? "" : ` → ${remedy}`}`;

const stat = {
  type: "directory",
  mode: 0o1777,
  uid: 0,
  bytes: 0,
  allocatedBytes: 0,
  inode: 1,
  modifiedSeconds: 0,
  modifiedNanoseconds: 0,
} as const;
const space = { freeBytes: 1024 * MiB, totalBytes: 1024 * MiB, freeFiles: 100_000, tmpfs: true };
const mount = { point: "/dev/shm", root: "/", type: "tmpfs", options: ["rw", "nosuid", "nodev", "noexec"] };
const usual: ShmFacts = { stat, space, mount, writable: true, used: true, uid: 1000 };

describe("/dev/shm", () => {
  const cases: readonly [string, Partial<ShmFacts>, string, string][] = [
    ["as it mostly is, noexec and nosuid included", {}, "ok: tmpfs, 1 GiB free of 1 GiB, mode 1777", ""],
    [
      "of 64 MiB",
      { space: { ...space, freeBytes: 64 * MiB, totalBytes: 64 * MiB } },
      "ok: tmpfs, 64 MiB free of 64 MiB",
      "",
    ],
    ["that a configured base replaces", { used: false, stat: undefined }, "ok: not used", ""],
    ["absent", { stat: undefined, space: undefined }, "warn: /dev/shm does not exist", "mount -t tmpfs"],
    ["read-only", { mount: { ...mount, options: ["ro"] }, writable: false }, "warn: read-only", "remount,rw"],
    [
      "without permission",
      { writable: false, stat: { ...stat, mode: 0o755 } },
      "warn: not writable for user 1000",
      "chmod 1777",
    ],
    [
      "of 4 MiB",
      { space: { ...space, freeBytes: 4 * MiB, totalBytes: 4 * MiB } },
      "warn: too small for a bus (6 MiB)",
      "--shm-size",
    ],
    ["full", { space: { ...space, freeBytes: MiB } }, "warn: full", "cfn doctor --fix"],
    ["full of inodes", { space: { ...space, freeFiles: 3 } }, "warn: room for 3 more files", "nr_inodes"],
    [
      "on a disk",
      { space: { ...space, tmpfs: false }, mount: { ...mount, type: "ext4" } },
      "warn: not in memory: ext4",
      "tmpfs",
    ],
    ["without its sticky bit", { stat: { ...stat, mode: 0o777 } }, "warn: others may remove the bus", "chmod 1777"],
    ["of somebody else", { stat: { ...stat, uid: 7 } }, "warn: user 7 owns it", "chown root:root"],
    ["of ours", { stat: { ...stat, uid: 1000 } }, "ok: ", ""],
    ["closed to others", { stat: { ...stat, mode: 0o1755 }, uid: 0 }, "warn: not open to every user", "chmod 1777"],
  ];
  test.each(cases)("%s", (_, facts, figure, remedy) => {
    const check = shmCheck({ ...usual, ...facts });
    expect(seen(check)).toStartWith(figure);
    expect(check.remedy ?? "").toContain(remedy);
    expect(check.remedy === undefined).toBe(check.verdict === "ok");
  });
});

describe("the place of the bus", () => {
  const base = (dir: string, unfit?: string, unsafe?: CfnError): Base => ({ dir, place: dir, unfit, unsafe });

  test("is the first that is fit, and another than the first is a warning that says why", () => {
    expect(seen(placeCheck([base("/dev/shm/cfn")], mount))).toBe("ok: /dev/shm/cfn (tmpfs)");
    const second = placeCheck([base("/dev/shm/cfn", "/dev/shm is not writable"), base("/tmp/cfn-0")], undefined);
    expect(second).toMatchObject({
      verdict: "warn",
      figure: "/tmp/cfn-0 (unknown file system) instead of /dev/shm/cfn",
    });
    expect(second.remedy).toContain("/dev/shm is not writable");
  });

  test("fails where there is none, naming each, and where a run would refuse it", () => {
    const none = placeCheck([base("/dev/shm/cfn", "one reason"), base("/tmp/cfn-0", "another")], mount);
    expect(seen(none)).toStartWith("fail: no place for a bus: one reason; another → ");
    const unsafe = new CfnError("refused", "/dev/shm/cfn is a symlink, not a directory", "remove it");
    expect(seen(placeCheck([base("/dev/shm/cfn", undefined, unsafe)], mount))).toBe(
      "fail: /dev/shm/cfn is a symlink, not a directory → remove it",
    );
  });

  const there = {
    descriptors: { soft: 1024, hard: 4096 },
    processes: { free: 10_000, limit: 32_768, what: "pid_max" },
    freeBytes: 64 * MiB,
    freeFiles: 1000,
    busPlace: "/dev/shm",
  };

  test("has room for a full inbox, or a warning, or too little for the agents", () => {
    expect(seen(spaceCheck(there, undefined))).toBe("ok: 64 MiB free: messages may take 32 MiB");
    expect(spaceCheck({ ...there, freeBytes: 16 * MiB }, undefined)).toMatchObject({
      verdict: "warn",
      figure: "16 MiB free: messages may take 8 MiB, less than one full inbox (16 MiB)",
    });
    expect(seen(spaceCheck(there, new CfnError("unavailable", "too little", "less agents")))).toBe(
      "fail: too little → less agents",
    );
  });

  test("does what a bus asks of a file system, or fails with what it does not", () => {
    expect(filesCheck("/x", []).verdict).toBe("ok");
    expect(seen(filesCheck("/x", ["ofd_locks", "fifo"]))).toStartWith("fail: /x does not do ofd_locks, fifo → ");
    expect(filesCheck("/x", undefined).verdict).toBe("fail");
  });
});

test("little room for output and journals is a warning, a run that can be resumed is none", () => {
  expect(outputCheck("/tmp", 100 * MiB).verdict).toBe("ok");
  expect(outputCheck("/tmp", 10 * MiB)).toMatchObject({ verdict: "warn", figure: "/tmp, 10 MiB free" });
  expect(stateCheck({ root: "/s", problem: undefined, freeBytes: 100 * MiB }).verdict).toBe("ok");
  expect(stateCheck({ root: "/s", problem: undefined, freeBytes: 0 }).verdict).toBe("warn");
  expect(seen(stateCheck({ root: "/s", problem: "/s is not writable", freeBytes: 0 }))).toStartWith(
    "warn: /s is not writable",
  );
  expect(stateCheck({ root: undefined, problem: undefined, freeBytes: 0 }).verdict).toBe("warn");
  expect(seen(resumableCheck(["a", "b", "c", "d", "e", "f", "g"]))).toBe(
    "ok: 7, to be finished by cfn run --resume=ID: a, b, c, d, e and 2 more",
  );
});
