/** Alerts of real runs: an inbox that fills and is emptied, and the command that hears of it. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { AlertEvent } from "../../src/alerts/watch.ts";
import { linesOf, until, withSwarm } from "../support/swarm.ts";

/** w1 lets its inbox fill, waits for the alert, reads everything, and waits until it has cleared. */
const AGENT = `
seq 850 | sed 's/.*/{"to":"w1","payload":&}/' | cfn send --batch - >/dev/null || exit
until grep -q fired "$ALERTS" 2>/dev/null; do sleep 0.1; done
cfn recv --max 850 >/dev/null || exit
until grep -q cleared "$ALERTS" 2>/dev/null; do sleep 0.1; done
`;

test("an inbox beyond its mark fires once, clears when it was read, and log, command and report say so", () =>
  withSwarm(async (swarm) => {
    const alerts = `${swarm.directory}/alerts`;
    const env = { ALERTS: alerts, CFN_ALERT_COMMAND: 'cat >> "$ALERTS"; cfn agents >/dev/null' };
    const outcome = await swarm.run(["--", "sh", "-c", AGENT], { env, timeoutMs: 50_000 });
    expect(outcome.code, outcome.stderr).toBe(0);
    const events = linesOf(readFileSync(alerts, "utf8")).map((line) => JSON.parse(line) as AlertEvent);
    const { run_id, alerts: records, orphans_ended } = swarm.report();
    expect(events.map(({ alert, state, subject, run_id: run }) => [alert, state, subject, run])).toEqual([
      ["inbox_full", "fired", "w1", run_id],
      ["inbox_full", "cleared", "w1", run_id],
    ]);
    expect(linesOf(outcome.stderr)).toEqual([
      expect.stringMatching(/^cfn: warn: alert inbox_full fired: the inbox of w1 holds 850 of 1000 messages/),
      expect.stringMatching(
        /^cfn: info: alert inbox_full cleared: the inbox of w1 holds (at most )?\d+ of \d+ messages/,
      ),
    ]);
    expect(records).toEqual([
      { alert: "inbox_full", subject: "w1", fired_at: events[0]?.at as number, cleared_at: events[1]?.at as number },
    ]);
    expect(orphans_ended).toBe(0);
  }));

test("a command that runs when the run ends is no orphan, and is ended when it has had its time", () =>
  withSwarm(async (swarm) => {
    const mark = `${swarm.directory}/begun`;
    const env = { MARK: mark, CFN_ALERT_COMMAND: 'echo x > "$MARK"; setsid sleep 1000; sleep 1000' };
    const agent =
      'seq 850 | sed "s/.*/{\\"to\\":\\"w1\\",\\"payload\\":&}/" | cfn send --batch - >/dev/null; until [ -e "$MARK" ]; do sleep 0.1; done';
    const run = swarm.start(["--", "sh", "-c", agent], { env, timeoutMs: 50_000 });
    await until("the command", () => existsSync(mark));
    const outcome = await run.outcome;
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(outcome.stderr).toContain(
      "alert.command failed, and is not spoken of again if it does: it did not end in time (5s)",
    );
    expect(outcome.stderr).not.toContain("left behind");
    expect(swarm.report().orphans_ended).toBe(0);
  }));

test("a healthy run says nothing", () =>
  withSwarm(async (swarm) => {
    const outcome = await swarm.run([
      "--agents",
      "20",
      "--",
      "sh",
      "-c",
      'sleep 2.5; cfn send "$CFN_AGENT_ID" --text hi; cfn recv',
    ]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(swarm.report()).toMatchObject({ alerts: [], alerts_omitted: 0 });
  }));
