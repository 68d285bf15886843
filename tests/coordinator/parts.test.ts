import { describe, expect, test } from "bun:test";
import { resultObject } from "../../src/coordinator/ndjson.ts";
import { unreportedResult } from "../../src/coordinator/outcome.ts";
import { needsOf, type Surroundings, shortage } from "../../src/coordinator/preflight.ts";
import { progressText } from "../../src/coordinator/progress.ts";
import { Queue } from "../../src/coordinator/queue.ts";
import { SeqSet } from "../../src/coordinator/seqset.ts";
import { joinBytes, LineTagger } from "../../src/coordinator/tagging.ts";
import { LatencyCounts } from "../../src/message/latency.ts";

describe("latencies", () => {
  test("have quantiles within one percent and the exact largest", () => {
    const counts = new LatencyCounts();
    for (let ms = 1; ms <= 1000; ms++) counts.add(ms);
    const { p50, p95, p99, max } = counts.quantiles();
    for (const [got, wanted] of [
      [p50, 500],
      [p95, 950],
      [p99, 990],
    ] as const) {
      expect(Math.abs(got / wanted - 1)).toBeLessThan(0.011);
    }
    expect(max).toBe(1000);
  });

  test("are 0 where there are none, and where the clock went backwards", () => {
    const counts = new LatencyCounts();
    expect(counts.quantiles()).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
    counts.add(-5);
    expect(counts.quantiles()).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
  });
});

describe("a queue", () => {
  test("is first in, first out within a priority, the highest first", () => {
    const queue = new Queue<{ name: string; priority: number }>((entry) => entry.priority);
    for (const [name, priority] of [
      ["a", 0],
      ["b", 1],
      ["c", 0],
      ["d", 1],
      ["e", -1],
    ] as const) {
      queue.add({ name, priority });
    }
    expect(queue.size).toBe(5);
    expect(queue.takeAll().map((entry) => entry.name)).toEqual(["b", "d", "a", "c", "e"]);
    expect(queue.take()).toBeUndefined();
  });

  test("keeps its order while thousands pass through", () => {
    const queue = new Queue<number>(() => 0);
    let next = 0;
    for (let n = 0; n < 10_000; n++) {
      queue.add(n);
      if (n % 3 === 0) expect(queue.take()).toBe(next++);
    }
    for (let got = queue.take(); got !== undefined; got = queue.take()) expect(got).toBe(next++);
    expect(next).toBe(10_000);
  });
});

test("a set of positions holds what was added and nothing else", () => {
  const set = new SeqSet();
  for (const seq of [1, 7, 8, 5000, 1_000_000, 7]) set.add(seq);
  expect(set.size).toBe(5);
  expect([1, 2, 7, 8, 9, 4999, 5000, 1_000_000, 1_000_001].filter((seq) => set.has(seq))).toEqual([
    1, 7, 8, 5000, 1_000_000,
  ]);
});

describe("tags", () => {
  const tagged = (tag: string, ...pieces: string[]): string => {
    const tagger = new LineTagger(tag);
    return new TextDecoder().decode(joinBytes(pieces.map((piece) => tagger.tagged(new TextEncoder().encode(piece)))));
  };

  test("begin each line, however the output is cut", () => {
    expect(tagged("t", "a\nb", "c\n", "", "d")).toBe("t\ta\nt\tbc\nt\td");
  });

  test("stay on their line", () => {
    expect(tagged("x\ny\tz", "a\n")).toBe("x y z\ta\n");
  });
});

describe("progress", () => {
  const counts = { total: 0, completed: 50, failed: 1, timed_out: 1, cancelled: 0, retried: 0 };

  test("has rate and time left where the total is known", () => {
    expect(progressText({ counts, total: 104, active: 8, earlier: 0, elapsedMs: 4000 })).toBe(
      "52/104 done · 2 not successful · 8 active · 13/s · ETA 4 s",
    );
  });

  test("has no time left when all is done", () => {
    expect(progressText({ counts, total: 52, active: 0, earlier: 0, elapsedMs: 4000 })).not.toContain("ETA");
  });

  test("has no time left while the list is still being read", () => {
    expect(progressText({ counts, total: undefined, active: 8, earlier: 0, elapsedMs: 4000 })).not.toContain("ETA");
  });
});

describe("the check before the start", () => {
  const shape = { topology: "flat", teams: [700], workers: 700 } as const;
  const needs = needsOf(shape);
  const there: Surroundings = {
    descriptors: { soft: 1024, hard: 4096 },
    processes: { free: 10_000, limit: 32_768, what: "/proc/sys/kernel/pid_max" },
    freeBytes: 64 * 2 ** 20,
    freeFiles: 100_000,
    busPlace: "/dev/shm",
  };

  test("finds nothing wrong with an ordinary machine", () => {
    expect(shortage(needs, there, 700)).toBeUndefined();
  });

  test("names the limit of open files and how to raise it", () => {
    const error = shortage(needs, { ...there, descriptors: { soft: 64, hard: 64 } }, 700);
    expect(error?.message).toContain("the limit is 64");
    expect(error?.remedy).toContain("ulimit -n");
  });

  test("names the limit of processes and how many agents fit", () => {
    const processes = { free: 516, limit: 600, what: "ulimit -u" };
    const error = shortage(needs, { ...there, processes }, 700);
    expect(error?.message).toContain("ulimit -u (600) leaves 516");
    expect(error?.remedy).toContain("--agents 500");
  });

  test("names the space that the bus lacks", () => {
    const error = shortage(needs, { ...there, freeBytes: 4 * 2 ** 20 }, 700);
    expect(error?.message).toContain("/dev/shm has 4MiB free");
    expect(error?.remedy).toContain("CFN_MESSAGE_BASE_DIR");
  });
});

test("a result object says where its texts are cut", () => {
  const task = { seq: 1, id: "a", label: "a", run: "x", priority: 0 };
  const result = { ...unreportedResult(task, 1, "cancelled", "d", "w1"), stdout_bytes: 5, stderr_bytes: 1 };
  const object = resultObject(task, result, new TextEncoder().encode("abc"), new TextEncoder().encode("e"));
  expect(object).toMatchObject({
    type: "result",
    task_id: "a",
    ok: false,
    stdout: "abc",
    stdout_truncated: true,
    stderr: "e",
  });
  expect(object).not.toHaveProperty("stderr_truncated");
});
