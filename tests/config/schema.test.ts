import { describe, expect, test } from "bun:test";
import { runArgs } from "../../cmd/runoptions.ts";
import { fromText } from "../../src/config/kinds.ts";
import { loadSettings } from "../../src/config/load.ts";
import { cellOf } from "../../src/config/origin.ts";
import { type SettingKey, settingList, settingNamed } from "../../src/config/schema.ts";
import { limits } from "../../src/limits.ts";

describe("every setting", () => {
  test("has a default that its own kind accepts, or says what holds without one", () => {
    for (const { key, accepts, fallback, unset } of settingList) {
      if (fallback === undefined) expect([key, unset]).toEqual([key, expect.any(String)]);
      else expect([key, accepts(fallback), unset]).toEqual([key, true, undefined]);
    }
  });

  test("has variables that no other one has, and that no agent is given", () => {
    const all = settingList.flatMap(({ variables }) => variables);
    expect(new Set(all).size).toBe(all.length);
    for (const name of ["RUN_ID", "AGENT_ID", "COORDINATOR_ID", "TASK_ID", "TASK", "ATTEMPT", "BUS_DIR"]) {
      expect(all).not.toContain(`CFN_${name}`);
    }
    for (const { section, name, env, variables } of settingList) {
      if (env === undefined) expect(variables).toEqual([`CFN_${section}_${name}`.toUpperCase()]);
    }
  });

  test("with an option of cfn run is read under its own name", () => {
    for (const [name, arg] of Object.entries(runArgs)) {
      if ("setting" in arg) expect(settingNamed(arg.setting).option).toBe(`--${name}`);
    }
  });

  test("is shown in a cell of its own", () => {
    for (const setting of settingList) expect(cellOf(setting, setting.fallback)).toMatch(/^[^\n]{1,60}$/);
  });
});

describe("the defaults", () => {
  const { settings } = loadSettings({ env: {} });

  test("are the limits that the program has without a configuration", () => {
    expect(settings.run.graceMs).toBe(limits.killGraceMs);
    expect(settings.bus).toMatchObject({
      busBytes: limits.busBytes,
      inboxMessages: limits.inboxMessages,
      inboxBytes: limits.inboxBytes,
      sendTimeoutMs: limits.sendTimeoutMs,
      shards: undefined,
    });
    expect(settings.journal).toEqual({ days: limits.journalDays, keep: limits.journalsMost });
  });

  test("are those of the card of settings", () => {
    expect(settings.health).toEqual({ intervalMs: 1000, stoppedAfterMs: 10_000, stalledAfterMs: 300_000 });
    expect(settings.alert).toMatchObject({
      deliveryMin: 0.95,
      coordinationMaxMs: undefined,
      inboxMax: 0.8,
      busMax: 0.85,
      fdsMax: 0.8,
      unhealthy: true,
      command: undefined,
      commandTimeoutMs: 5000,
    });
    expect(settings.metrics).toMatchObject({ enabled: true, intervalMs: 1000 });
    expect(settings.serve).toEqual({
      listen: { kind: "tcp", host: "127.0.0.1", port: 7708 },
      token: undefined,
      allowRemote: false,
    });
  });
});

describe("a kind of values", () => {
  const takes = (key: SettingKey, ...values: unknown[]): boolean[] => values.map(settingNamed(key).accepts);

  test("takes what is in its range, its ends among it, and nothing else", () => {
    expect(takes("run.agents", 1, limits.agentsMax)).toEqual([true, true]);
    expect(takes("run.agents", 0, limits.agentsMax + 1, 1.5, "1", null, true, Number.NaN, [1], {})).not.toContain(true);
    expect(takes("run.timeout", "1ms", 0.001, "720h", 2_592_000, "90", 1.5)).not.toContain(false);
    expect(takes("run.timeout", "0", 0, "721h", 2_592_001, "5d", "", -1, Number.POSITIVE_INFINITY)).not.toContain(true);
    expect(takes("bus.bytes", "3MiB", 3 * 2 ** 20, "64GiB", "1.5GiB")).not.toContain(false);
    expect(takes("bus.bytes", "2MiB", 1, "65GiB", "64MB", "64 MiB", 2 ** 25 + 0.5)).not.toContain(true);
    expect(takes("run.load", 0.01, limits.agentsMax, "90%", "0.5%")).not.toContain(false);
    expect(takes("run.load", 0, limits.agentsMax + 1, "0%", "0.0%", "90", "%", "-1%")).not.toContain(true);
    expect(takes("alert.inbox_max", 0, 1, 0.5)).not.toContain(false);
    expect(takes("alert.inbox_max", -0.1, 1.01, "0.5", Number.NaN)).not.toContain(true);
    expect(takes("bus.base_dir", "/x", "/")).not.toContain(false);
    expect(takes("bus.base_dir", "", "x", "./x", "~/x", "/x\0y")).not.toContain(true);
    expect(takes("serve.listen", 80, "80", "localhost:0", "[::1]:80", "10.0.0.1:65535")).not.toContain(false);
    expect(takes("serve.listen", 65_536, "::1:80", "a b:80", ":80", "x:", "http://x:80", -1, 8.5)).not.toContain(true);
    expect(takes("alert.command", "mail me", ["mail", ""])).not.toContain(false);
    expect(takes("alert.command", "", [], [""], ["a", 1], ["a\0"])).not.toContain(true);
    expect(takes("serve.token", "0123456789abcdef")).toEqual([true]);
    expect(takes("serve.token", "0123456789abcde", "0123456789 abcdef", "é".repeat(16))).not.toContain(true);
  });

  test("reads a text as a file would have it, and leaves what it does not know", () => {
    expect(["5", "-1", "1.5", "1e3", "0x1", "", " 1"].map((text) => fromText(text, "number"))).toEqual([
      5,
      -1,
      1.5,
      "1e3",
      "0x1",
      "",
      " 1",
    ]);
    expect(["true", "0", "1", "false", "yes"].map((text) => fromText(text, "boolean"))).toEqual([
      true,
      false,
      true,
      false,
      "yes",
    ]);
    expect(fromText("5", "text")).toBe("5");
  });

  test("becomes what the program uses", () => {
    const env = {
      CFN_ALERT_COMMAND: "mail me",
      CFN_RUN_LISTEN: "9000",
      CFN_RUN_MEMFREE: "1GiB",
      CFN_BUS_SEND_TIMEOUT: "1.5",
    };
    const { run, bus, alert } = loadSettings({ env }).settings;
    expect(alert.command).toEqual(["sh", "-c", "mail me"]);
    expect(run.listen).toEqual({ kind: "tcp", host: "127.0.0.1", port: 9000 });
    expect(run.memfreeBytes).toBe(2 ** 30);
    expect(bus.sendTimeoutMs).toBe(1500);
  });
});
