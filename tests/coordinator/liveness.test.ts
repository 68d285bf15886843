import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { Liveness } from "../../src/coordinator/liveness.ts";
import { limits } from "../../src/limits.ts";
import { monotonicMs } from "../../src/os/clock.ts";
import { until } from "../support/swarm.ts";

/** Looks at this pid every so often, for as long, with a heartbeat that `beats` until then; the first verdict and its time. */
function watch(pid: number, forMs: number, beats: (ms: number) => boolean): [number, string] | undefined {
  const dir = mkdtempSync(`${tmpdir()}/cfn-liveness-`);
  mkdirSync(`${dir}/heartbeats`);
  try {
    const liveness = new Liveness(dir, "c1");
    liveness.begin(pid);
    const begin = Math.ceil(monotonicMs());
    for (let ms = limits.coordinatorLookMs; ms <= forMs; ms += limits.coordinatorLookMs) {
      if (beats(ms)) writeFileSync(`${dir}/heartbeats/c1`, `${ms} ${pid} 0\n`);
      const verdict = liveness.verdict(begin + ms);
      if (verdict !== undefined) return [ms, verdict];
    }
    return undefined;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("one that runs and beats is well", () => {
  expect(watch(process.pid, 60_000, () => true)).toBeUndefined();
});

test("one whose heart stands still is judged only after the limit", () => {
  const [ms, why] = watch(process.pid, 60_000, (at) => at <= 5000) ?? [0, ""];
  expect(ms).toBe(5000 + limits.coordinatorHungMs);
  expect(why).toBe("its heartbeat stood still for 10.0 s");
  expect(watch(process.pid, 60_000, (at) => at % 9000 < limits.coordinatorLookMs)).toBeUndefined();
});

test("one that is stopped is judged sooner", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  process.kill(child.pid, "SIGSTOP");
  await until("it is stopped", () => watch(child.pid, limits.coordinatorStoppedMs + 1000, () => true) !== undefined);
  const [ms, why] = watch(child.pid, 60_000, () => true) ?? [0, ""];
  expect(ms).toBe(limits.coordinatorLookMs + limits.coordinatorStoppedMs);
  expect(why).toBe("it was stopped for 2.0 s");
  child.kill("SIGKILL");
  await child.exited;
});

test("nothing is said by one that has not looked for long itself", () => {
  const liveness = new Liveness("/nowhere", "c1");
  liveness.begin(process.pid);
  expect(liveness.verdict(monotonicMs() + 60_000)).toBeUndefined();
});
