/** `cfn stop`: a run and an agent ended over the bus, from outside and from within, once or several times. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { undeliveredIn } from "../support/accounts.ts";
import { cfnBinary } from "../support/binary.ts";
import { journalsOf, numbersIn, reached } from "../support/killing.ts";
import { linesOf, type Swarm, until, withSwarm } from "../support/swarm.ts";

const shapes = { flat: ["--topology", "flat", "--agents", "4"], hybrid: ["--coordinators", "2", "--agents", "4"] };
/** Each agent writes a line when it is up, and goes on for ever. */
const hanging = (then = ""): string[] => ["--", "sh", "-c", `echo 1 >>"$LOG"; ${then} sleep 60 & wait`];

const started = (swarm: Swarm, args: readonly string[]) => {
  const log = `${swarm.directory}/log`;
  return { log, running: swarm.start(args, { env: { LOG: log } }) };
};
const stop = (swarm: Swarm, args = "") => swarm.shell(`exec "$0" stop ${args}`);

for (const [topology, shape] of Object.entries(shapes)) {
  describe(`cfn stop, ${topology}`, () => {
    test("ends the one living run as SIGTERM does, and returns when it has ended; then there is none", () =>
      withSwarm(async (swarm) => {
        const { log, running } = started(swarm, [...shape, ...hanging()]);
        await reached(log, 4);
        expect(await stop(swarm)).toMatchObject({ code: 0, stdout: "", stderr: "" });
        expect(swarm.processes().filter((pid) => pid === running.pid)).toEqual([]);
        expect((await running.outcome).code).toBe(143);
        expect(swarm.report()).toMatchObject({ status: "interrupted", tasks: { cancelled: 4 } });
        expect(await stop(swarm)).toMatchObject({ code: 66, stderr: "cfn: error: no run is alive\n" });
      }));

    test("from several at once, and from an agent of the run, ends it once and for all of them", () =>
      withSwarm(async (swarm) => {
        const { log, running } = started(swarm, [...shape, ...hanging('test "$CFN_TASK_ID" = 2 && cfn stop;')]);
        await reached(log, 1);
        const ends = await Promise.all([stop(swarm), stop(swarm), stop(swarm, "--grace 5s")]);
        for (const { code } of ends) expect([0, 66]).toContain(code as number);
        expect((await running.outcome).code).toBe(143);
      }));

    test("--now kills agents that would not end", () =>
      withSwarm(async (swarm) => {
        const { log, running } = started(swarm, [...shape, ...hanging("trap '' TERM;")]);
        await reached(log, 4);
        const first = stop(swarm, "--grace 1h");
        expect((await stop(swarm, "--now")).code).toBe(0);
        expect((await first).code).toBe(0);
        expect((await running.outcome).code).toBe(143);
      }));

    test("--agent ends one agent's task and its seat; the others do what is left", () =>
      withSwarm(async (swarm) => {
        const id = topology === "flat" ? "w2" : "c1-w2";
        const script = `echo 1 >>"$LOG"; if [ "$CFN_AGENT_ID" = ${id} ]; then sleep 60 & wait; fi; until [ -e "$LOG.go" ]; do sleep 0.05; done`;
        const log = `${swarm.directory}/log`;
        const tasks = Array.from({ length: 30 }, (_, n) => n + 1).join("\n");
        const args = [...shape, "--tasks", "-", "--", "sh", "-c", script, "-"];
        const running = swarm.start(args, { env: { LOG: log }, stdin: tasks });
        await reached(log, 4);
        for (let again = 0; again < 2; again++)
          expect(await stop(swarm, `--agent ${id}`)).toMatchObject({ code: 0, stderr: "" });
        const { stdout } = await swarm.shell('"$0" agents');
        expect(stdout).toMatch(new RegExp(`^${id} .* STOPPED `, "m"));
        await Bun.write(`${log}.go`, "");
        expect((await running.outcome).code).toBe(1);
        expect(swarm.report().tasks).toMatchObject({ total: 30, completed: 29, cancelled: 1 });
        expect(swarm.report().failures).toMatchObject([
          { agent_id: id, reason: "cancelled", detail: "its agent was stopped" },
        ]);
        expect(swarm.report().delivery).toMatchObject({ rate: 1, duplicates: 0, lost: [] });
      }));

    test("--agent, of one after the other, ends the run when none is left", () =>
      withSwarm(async (swarm) => {
        const log = `${swarm.directory}/log`;
        const args = [...shape, "--tasks", "-", ...hanging().slice(0, -1), `${hanging().at(-1)} #`];
        const tasks = Array.from({ length: 40 }, (_, n) => n + 1).join("\n");
        const running = swarm.start(args, { env: { LOG: log }, stdin: tasks });
        await reached(log, 4);
        const ids = topology === "flat" ? ["w1", "w2", "w3", "w4"] : ["c1-w1", "c1-w2", "c2-w1", "c2-w2"];
        await Promise.all(ids.map((id) => stop(swarm, `--agent ${id}`)));
        expect((await running.outcome).code).toBe(1);
        const { tasks: counts, status, delivery } = swarm.report();
        expect({ status, completed: counts.completed }).toEqual({ status: "failed", completed: 0 });
        expect(counts.cancelled).toBe(counts.total);
        expect(delivery).toMatchObject({ rate: 1, duplicates: 0, lost: [] });
      }));
  });
}

describe("cfn stop", () => {
  test("names what it does not find, and asks which of several", () =>
    withSwarm(async (swarm) => {
      const one = started(swarm, [...shapes.flat, ...hanging()]);
      const other = swarm.start([...shapes.flat, ...hanging()], { env: { LOG: one.log } });
      await reached(one.log, 8);
      expect(await stop(swarm, "nosuchrun")).toMatchObject({ code: 66 });
      const several = await stop(swarm);
      expect(several.code).toBe(64);
      expect(several.stderr).toMatch(/^cfn: error: 2 runs are alive: [a-z0-9]+, [a-z0-9]+\n {2}say which\n$/);
      const [, first = "", second = ""] = /: ([a-z0-9]+), ([a-z0-9]+)\n/.exec(several.stderr) ?? [];
      expect((await stop(swarm, first)).code).toBe(0);
      expect((await stop(swarm, second.slice(0, -1))).code).toBe(0);
      await Promise.all([one.running.outcome, other.outcome]);
    }));

  test("of a run that stands still says so, and what to do", () =>
    withSwarm(async (swarm) => {
      const { log, running } = started(swarm, [...shapes.flat, ...hanging()]);
      await reached(log, 4);
      running.kill("SIGSTOP");
      const { code, stderr } = await stop(swarm);
      expect({ code, stderr }).toMatchObject({ code: 69 });
      expect(stderr).toContain(`its process ${running.pid} is stopped`);
      running.kill("SIGCONT");
      expect((await running.outcome).code).toBe(143);
    }));

  test("--agent ends an agent that somebody else has started; one that is not there is 66", () =>
    withSwarm(async (swarm) => {
      const script = `"$0" agent ana -- sh -c 'echo 1 >>${swarm.directory}/log; sleep 60' & p=$!; until [ -e ${swarm.directory}/log ]; do sleep 0.05; done
        "$0" stop --agent anna; echo $?; "$0" stop --agent ana; echo $?; wait $p; echo $?; "$0" agent ana -- true; echo $?`;
      const { stdout, stderr } = await swarm.shell(script);
      expect(stdout).toBe("66\n0\n143\n0\n");
      expect(stderr).toContain("did you mean ana?");
    }));
});

describe("a message that nobody has read when the run ends", () => {
  test("is kept whole, and answers a question of somebody who still waits", () =>
    withSwarm(async (swarm) => {
      const { log, running } = started(swarm, [...shapes.flat, ...hanging()]);
      await reached(log, 4);
      const asking = swarm.shell('exec "$0" ask w3 "are you there?" --timeout 30s');
      const base = () => swarm.shell('"$0" agents --json');
      for (let asked = false; !asked; ) asked = /"id":"w3".*?"data":1/.test((await base()).stdout);
      running.kill("SIGTERM");
      expect(await asking).toMatchObject({ code: 69 });
      expect((await asking).stderr).toContain("the run ended before it took the question");
      const { stderr } = await running.outcome;
      expect(stderr).toContain("one message was not read, 1 of them returned: ");
      expect(swarm.report().messages).toMatchObject({ accepted: 1, delivered: 0, undelivered: 1, returned: 1 });
      expect(undeliveredIn(journalsOf(swarm)[0])).toMatchObject([
        { to: "w3", payload: { question: "are you there?" } },
      ]);
    }));

  test("is kept whole by the run that is resumed; half a line, where a death cut its writing, is no message", () =>
    withSwarm(async (swarm) => {
      const { directory } = swarm;
      const log = `${directory}/log`;
      const script = `for n in a b; do cfn send w1 --text "$n$CFN_ATTEMPT" >/dev/null; done; echo 1 >>"$LOG"; [ -e "$LOG.go" ] || { sleep 60 & wait; }`;
      const running = swarm.start(["--agents", "1", "--", "sh", "-c", script], { env: { LOG: log } });
      await reached(log, 1);
      running.kill("SIGTERM");
      expect((await running.outcome).code).toBe(143);
      const file = `${journalsOf(swarm)[0]}/undelivered.jsonl`;
      const whole = readFileSync(file, "utf8");
      const [first = "", second = ""] = whole.split("\n");
      writeFileSync(file, `${first}\n${second.slice(0, second.length / 2)}`);
      writeFileSync(`${log}.go`, "");
      const { code, stderr } = await swarm.resume(undefined, { env: { LOG: log } }).outcome;
      expect(code, stderr).toBe(0);
      expect(stderr).toContain(`2 messages were not read: ${file}`);
      expect(swarm.report().messages).toMatchObject({
        accepted: 2,
        delivered: 0,
        undelivered: 2,
        undelivered_file: file,
      });
      expect(undeliveredIn(journalsOf(swarm)[0]).map(({ payload }) => String(payload).slice(0, 1))).toEqual([
        "a",
        "a",
        "b",
      ]);
    }));

  test(
    "is not lost by halves where the run is killed while it writes them down, and --resume goes on after them",
    () =>
      withSwarm(async (swarm) => {
        const log = `${swarm.directory}/log`;
        // Some megabytes, so that writing them takes a while.
        const script = `printf '"%60000s"' x >"$LOG.body"; n=0; while [ $n -lt 100 ]; do cfn send w1 --timeout 2s --payload - <"$LOG.body" >/dev/null; n=$((n + 1)); done; echo 1 >>"$LOG"; [ -e "$LOG.go" ] || { sleep 60 & wait; }`;
        const running = swarm.start(["--agents", "1", "--", "sh", "-c", script], {
          env: { LOG: log },
          timeoutMs: 60_000,
        });
        await until("all are sent", () => numbersIn(log).length === 1, 50);
        const file = `${journalsOf(swarm)[0]}/undelivered.jsonl`;
        running.kill("SIGTERM");
        // No pause between the looks: it is over within milliseconds.
        for (const end = Date.now() + 10_000; Date.now() < end && !(existsSync(file) && statSync(file).size > 0); );
        running.kill("SIGKILL");
        await running.outcome;
        await until("nothing of it is left", () => swarm.processes().length === 0);
        const written = readFileSync(file, "utf8");
        const before = linesOf(written.slice(0, written.lastIndexOf("\n") + 1));
        writeFileSync(`${log}.go`, "");
        const { code, stderr } = await swarm.resume(undefined, { env: { LOG: log }, timeoutMs: 60_000 }).outcome;
        expect(code, stderr).toBe(0);
        const kept = undeliveredIn(journalsOf(swarm)[0]);
        expect(kept).toHaveLength(before.length + 100);
        expect(kept.slice(0, before.length).map((message) => JSON.stringify(message))).toEqual(before);
        expect(new Set(kept.map(({ msg_id }) => msg_id)).size).toBe(kept.length);
        expect(swarm.report().messages).toMatchObject({ accepted: 100, undelivered: 100, undelivered_file: file });
      }),
    120_000,
  );

  test("is kept of a run that ended by itself too", () =>
    withSwarm(async (swarm) => {
      const { code, stderr } = await swarm.run([
        "--agents",
        "1",
        "--",
        "sh",
        "-c",
        "cfn send w1 --text a; cfn send w1 --text b; cfn recv",
      ]);
      expect(code).toBe(0);
      expect(stderr).toBe("");
      await swarm.run([
        "--agents",
        "1",
        "--",
        "sh",
        "-c",
        "cfn send w1 --text a; cfn send w1 --text b; cfn recv --max 1",
      ]);
      expect(swarm.report().messages).toMatchObject({ accepted: 2, delivered: 1, undelivered: 1, returned: 0 });
      const kept = journalsOf(swarm).flatMap((folder) => undeliveredIn(folder));
      expect(kept).toMatchObject([{ payload: "b" }]);
    }));
});

test("a run whose output nobody reads ends all the same, and --resume prints it", () =>
  withSwarm(async (swarm) => {
    const fifo = `${swarm.directory}/fifo`;
    // The script holds the pipe open and reads nothing of it.
    const script = `mkfifo ${fifo}; exec 3<>${fifo}; "$0" run --agents 3 -- sh -c 'head -c 100000 /dev/zero; echo 1 >>"$LOG"; exit 0' >${fifo} & p=$!
      until [ "$(wc -l <"$LOG")" = 3 ]; do sleep 0.05; done; kill -TERM $p; wait $p; echo $?; exec 3<&-; "$0" run --resume | wc -c`;
    const log = `${swarm.directory}/log`;
    await Bun.write(log, "");
    const { stdout, stderr } = await swarm.shell(script, { env: { LOG: log } });
    expect(stdout, stderr).toBe("143\n300000\n");
    expect(stderr).toContain("nobody reads the output");
  }));

test("SIGTERM while a coordinator has just died ends the run in order", () =>
  withSwarm(async (swarm) => {
    const { log, running } = started(swarm, [...shapes.hybrid, ...hanging()]);
    await reached(log, 4);
    const coordinators = swarm
      .processes()
      .filter(
        (pid) =>
          existsSync(`/proc/${pid}/cmdline`) &&
          readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[1] === "coordinator",
      );
    expect(coordinators).toHaveLength(2);
    process.kill(coordinators[0] as number, "SIGKILL");
    running.kill("SIGTERM");
    expect((await running.outcome).code).toBe(143);
    expect(swarm.report().tasks).toMatchObject({ total: 4, cancelled: 4 });
  }));

test("two signals of one kind at once are one: the grace is kept", () =>
  withSwarm(async (swarm) => {
    const { log, running } = started(swarm, [...shapes.flat, ...hanging('trap "echo bye; exit 0" TERM;')]);
    await reached(log, 4);
    const { outcome } = running;
    for (let twice = 0; twice < 2; twice++) running.kill("SIGTERM");
    const { stdout, code } = await outcome;
    expect({ code, bye: linesOf(stdout).length }).toEqual({ code: 143, bye: 4 });
    await until("nothing is left", () => swarm.processes().length === 0);
    expect(existsSync(cfnBinary)).toBe(true);
  }));
