/**
 * Damage: random bytes overwritten at random places of a bus's files, 1,000 seeds for each kind of file, for several files at
 * once, and while the bus is mapped and an inbox half read. `support/corruption.ts` says what must hold; here is who watches.
 * The trials run in a process of their own, so that a crash of it or a hang has the name of a seed as well.
 */
import { expect, test } from "bun:test";
import { withBusBase } from "../support/bus.ts";
import { type DamageKind, damageKinds, type Tally } from "../support/corruption.ts";
import { seeded } from "../support/seed.ts";

const TRIALS = 1000;
/** Only to make a hang a failure: a trial takes a few milliseconds. */
const STALL_MS = 20_000;

async function watch(base: string, kind: DamageKind, first: number, count: number): Promise<Tally> {
  const argv = [
    process.execPath,
    `${import.meta.dir}/../fixtures/bus/victim.ts`,
    base,
    kind,
    String(first),
    String(count),
  ];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  const errors = new Response(child.stderr).text();
  let last = "";
  let stalled = false;
  const stall = (): void => {
    stalled = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(stall, STALL_MS);
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    clearTimeout(timer);
    timer = setTimeout(stall, STALL_MS);
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() as string;
    last = lines.at(-1) ?? last;
  }
  clearTimeout(timer);
  const status = await child.exited;
  const how = stalled ? "hangs" : `ends with ${child.signalCode ?? status}`;
  expect(status, `CFN_TEST_SEED=${last}: the trial of damage to "${kind}" ${how}\n${await errors}`).toBe(0);
  return JSON.parse(last) as Tally;
}

for (const kind of damageKinds) {
  test(`damage of ${TRIALS} kinds (${kind}): no hang, no crash, nothing wrong; reported, and the rest delivered`, async () => {
    const first = seeded(`damage: ${kind}`).seed;
    await withBusBase(
      async (base) => {
        const tally = await watch(base, kind, first, TRIALS);
        process.stderr.write(`${kind}: ${JSON.stringify(tally)}\n`);
        expect(kind === "meta" ? tally.refused : tally.reported, "damage was done").toBeGreaterThan(TRIALS / 10);
      },
      { leaves: true },
    );
  }, 120_000);
}
