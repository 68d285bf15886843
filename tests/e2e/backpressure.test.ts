/** Senders that outrun their readers: they wait, no swarm locks up, and nothing is lost. And agents that the machine has no room for. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { linesOf, until, withSwarm } from "../support/swarm.ts";

const count = 1300;

/**
 * An agent that sends `count` messages to the next one, reads only when it is told to try again, and then the rest. What it
 * got and what it was told lie in files under its name.
 */
const inRing = `
cd "$1"
n=\${CFN_AGENT_ID#w}
next=w$((n % $2 + 1))
seq ${count} | sed "s/.*/{\\"to\\":\\"$next\\",\\"payload\\":&}/" > batch$n
sent=0
: > got$n
while [ $sent -lt ${count} ]; do
  tail -n +$((sent + 1)) batch$n | cfn send --batch - --timeout 5m > ids$n 2>> told$n
  code=$?
  sent=$((sent + $(wc -l < ids$n)))
  case $code in
  0) ;;
  75) cfn recv --max 700 >> got$n || exit 8 ;;
  *) exit 9 ;;
  esac
done
while [ $(wc -l < got$n) -lt ${count} ]; do cfn recv --wait=20s >> got$n || exit 7; done
`;

for (const agents of [2, 10]) {
  test(
    `${agents} agents in a ring that fill each other's inboxes are told so, go on, and lose nothing`,
    () =>
      withSwarm(async (swarm) => {
        const args = ["--agents", `${agents}`, "--", "sh", "-c", inRing, "agent", swarm.directory, `${agents}`];
        const { code, stderr } = await swarm.run(args, { timeoutMs: 100_000 });
        const told = Array.from({ length: agents }, (_, n) => readFileSync(`${swarm.directory}/told${n + 1}`, "utf8"));
        expect(code, stderr + told.join("")).toBe(0);
        for (let n = 1; n <= agents; n++) {
          const got = linesOf(readFileSync(`${swarm.directory}/got${n}`, "utf8")).map(
            (line) => JSON.parse(line) as { payload: number; sequence: number; from: string },
          );
          expect(got.map(({ payload }) => payload)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
          expect(new Set(got.map(({ from }) => from)).size).toBe(1);
        }
        // Who gave up was told why. Left alone they would have waited for longer than this test.
        expect(told.join("")).toContain("each waits for the next to read");
        const ring = /not accepted: \d+ messages?: (.*?): each/.exec(told.join(""))?.[1]?.split(" → ") as string[];
        expect(ring).toHaveLength(agents + 1);
        expect(ring[0]).toBe([...ring].sort()[0] as string);
      }),
    120_000,
  );
}

test(
  "two that wait for each other while one of them still reads, slowly, are no ring",
  () =>
    withSwarm(async (swarm) => {
      writeFileSync(
        `${swarm.directory}/agent.sh`,
        `
cd "$1"
n=\${CFN_AGENT_ID#w}
next=w$((n % 2 + 1))
seq 1100 | sed "s/.*/{\\"to\\":\\"$next\\",\\"payload\\":&}/" > batch$n
if [ $n = 1 ]; then
  cfn send --batch batch1 > ids1 2> told1 || exit 9
  touch sent
  cfn recv --follow --max 1100 > got1
else
  cfn send --batch batch2 > ids2 2> told2 &
  # It holds its inbox, and takes its time.
  cfn recv --follow --max 1100 | { while [ ! -e late ]; do sleep 0.1; done; cat > got2; } &
  while ! [ -L "$CFN_BUS_DIR/waits/w1" ] || ! [ -L "$CFN_BUS_DIR/waits/w2" ]; do sleep 0.1; done
  sleep 5
  [ -e sent ] && exit 8
  touch late
  wait
fi
`,
      );
      const args = ["--agents", "2", "--", "sh", `${swarm.directory}/agent.sh`, swarm.directory];
      const { code, stderr } = await swarm.run(args, { timeoutMs: 60_000 });
      const told = [1, 2].map((n) => readFileSync(`${swarm.directory}/told${n}`, "utf8"));
      expect(code, stderr + told.join("")).toBe(0);
      expect(told).toEqual(["", ""]);
      for (const n of [1, 2]) expect(linesOf(readFileSync(`${swarm.directory}/got${n}`, "utf8"))).toHaveLength(1100);
    }),
  90_000,
);

for (const topology of ["flat", "hybrid"]) {
  test(`marks that the machine is far from let a ${topology} run end as without them`, () =>
    withSwarm(async (swarm) => {
      const marks = ["--memfree", "1MiB", "--load", "10000", "--topology", topology, "--agents", "20"];
      const stdin = `${Array.from({ length: 200 }, (_, n) => n + 1).join("\n")}\n`;
      const { code, stdout } = await swarm.run([...marks, "--tasks", "-", "--", "echo"], { stdin });
      expect(code).toBe(0);
      expect(new Set(linesOf(stdout)).size).toBe(200);
      expect(swarm.report().tasks).toMatchObject({ total: 200, completed: 200 });
    }));

  test(
    `a mark that the machine is beyond lets no agent start in a ${topology} run, which says so and ends in time`,
    () =>
      withSwarm(async (swarm) => {
        const args = [
          "--memfree",
          "1000000GiB",
          "--topology",
          topology,
          "--agents",
          "2",
          "--progress",
          "--",
          "touch",
          "ran",
        ];
        const options = { env: { CFN_MAX_COORDINATION_TIME: "8" }, cwd: swarm.directory };
        const { code, stderr } = await swarm.run(args, options);
        expect(code).toBe(124);
        expect(
          stderr.match(/no agent starts: the run waits for memory: \d+MiB available, --memfree 1000000GiB/g),
        ).toHaveLength(1);
        expect(stderr).toMatch(/0 active.* waits for memory: /);
        expect(readdirSync(swarm.directory)).not.toContain("ran");
        expect(swarm.report()).toMatchObject({ status: "timed_out", tasks: { total: 2, cancelled: 2 } });
      }),
    60_000,
  );
}

test("a run that waits for the machine ends at once when it is told to", () =>
  withSwarm(async (swarm) => {
    const running = swarm.start(["--load", "0.01", "--memfree", "1000000GiB", "--progress", "--", "true"]);
    const catches = (): number =>
      Number.parseInt(
        /^SigCgt:\t[0-9a-f]*([0-9a-f]{8})$/m.exec(readFileSync(`/proc/${running.pid}/status`, "utf8"))?.[1] ?? "0",
        16,
      );
    await until("it catches SIGTERM", () => (catches() & (1 << 14)) !== 0);
    running.kill("SIGTERM");
    expect((await running.outcome).code).toBe(143);
    expect(swarm.report().status).toBe("interrupted");
  }));

test("marks that are none are refused", () =>
  withSwarm(async (swarm) => {
    for (const [option, value] of [
      ["--memfree", "much"],
      ["--memfree", "0"],
      ["--load", "0"],
      ["--load", "-1"],
      ["--load", "50%%"],
      ["--pressure", "101"],
      ["--pressure", "5%"],
    ] as const) {
      const { code, stderr } = await swarm.run([option, value, "--", "true"]);
      expect(code, `${option} ${value}`).toBe(64);
      expect(stderr).toContain(`${option} "${value}": expected a`);
    }
  }));
