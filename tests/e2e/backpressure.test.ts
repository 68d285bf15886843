/** Senders that outrun their readers: they wait, no swarm locks up, and nothing is lost. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { linesOf, withSwarm } from "../support/swarm.ts";

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
  tail -n +$((sent + 1)) batch$n | cfn send --batch - > ids$n 2>> told$n
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
        // Who gave up was told why, and nobody waited in vain until the time was up.
        expect(told.join("")).toContain("each waits for the next to read");
        expect(told.join("")).not.toContain("inbox full");
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
  # It has taken a hundred, and holds its inbox while it handles them.
  cfn recv --follow --max 1100 | { while [ ! -e late ]; do sleep 0.1; done; cat > got2; } &
  reader=$!
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
