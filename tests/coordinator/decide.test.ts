import { describe, expect, test } from "bun:test";
import { type Attempt, type RunCommand, type RunPolicy, RunState } from "../../src/coordinator/decide.ts";
import type { TaskSpec } from "../../src/coordinator/spec.ts";
import type { ResultPayload } from "../../src/message/protocol.ts";

const task = (seq: number, more: Partial<TaskSpec> = {}): TaskSpec => ({
  seq,
  id: `t${seq}`,
  label: `t${seq}`,
  run: ["true"],
  priority: 0,
  ...more,
});

const result = (seq: number, more: Partial<ResultPayload> = {}): ResultPayload => ({
  task_id: `t${seq}`,
  seq,
  attempt: 1,
  agent_id: "w1",
  reason: "exited",
  exit_code: 0,
  signal: 0,
  started_at: 1,
  run_time_ms: 1,
  stdout_bytes: 0,
  stderr_bytes: 0,
  ...more,
});

const failed = (seq: number, attempt = 1): ResultPayload => result(seq, { attempt, exit_code: 1 });

function run(policy: Partial<RunPolicy> = {}): RunState {
  const teams = policy.teams ?? [{ id: "c1", workers: 2 }];
  const state = new RunState({ oneTaskEach: false, retries: 0, halt: "never", killGraceMs: 2000, ...policy, teams });
  for (const { id } of teams) state.handle({ type: "hello", coordinator: id });
  return state;
}

const add = (state: RunState, ...tasks: TaskSpec[]): RunCommand[] =>
  tasks.flatMap((each) => state.handle({ type: "task_available", task: each }));

const dispatches = (commands: readonly RunCommand[]): string[] =>
  commands.flatMap((command) =>
    command.type === "dispatch" ? [`${command.task.seq}.${command.attempt}>${command.coordinator}`] : [],
  );

const settled = (commands: readonly RunCommand[]): string[] =>
  commands.flatMap((command) => (command.type === "settle" ? [`${command.task.seq} ${command.result.reason}`] : []));

describe("dispatch", () => {
  test("gives a task to a coordinator that has said hello", () => {
    const state = new RunState({
      teams: [{ id: "c1", workers: 2 }],
      oneTaskEach: false,
      retries: 0,
      halt: "never",
      killGraceMs: 1,
    });
    expect(add(state, task(1))).toEqual([]);
    expect(dispatches(state.handle({ type: "hello", coordinator: "c1" }))).toEqual(["1.1>c1"]);
  });

  test("goes to the coordinator with the least load for its size", () => {
    const state = run({ teams: ["a", "b"].map((id) => ({ id, workers: 4 })) });
    expect(dispatches(add(state, task(1), task(2), task(3)))).toEqual(["1.1>a", "2.1>b", "3.1>a"]);
  });

  test("stops at what the workers and a small look-ahead take", () => {
    const state = run({ teams: [{ id: "c1", workers: 4 }] });
    expect(state.room).toBe(6);
    expect(dispatches(add(state, ...[1, 2, 3, 4, 5, 6, 7].map((seq) => task(seq))))).toHaveLength(6);
    expect(state.room).toBe(0);
    expect(dispatches(state.handle({ type: "result", result: result(1) }))).toEqual(["7.1>c1"]);
  });

  test("counts tasks that wait for a coordinator against what is read ahead", () => {
    const teams = [{ id: "c1", workers: 2 }];
    const state = new RunState({ teams, oneTaskEach: false, retries: 0, halt: "never", killGraceMs: 1 });
    expect(state.room).toBe(4);
    add(state, task(1), task(2), task(3));
    expect(state.room).toBe(1);
  });

  test("prefers the higher priority among tasks that wait, and order within one", () => {
    const state = run({ teams: [{ id: "c1", workers: 1 }] });
    add(state, task(1), task(2), task(3), task(4), task(5, { priority: 9 }), task(6, { priority: 9 }));
    const order = [1, 2, 3, 5, 6].flatMap((seq) => dispatches(state.handle({ type: "result", result: result(seq) })));
    expect(order).toEqual(["5.1>c1", "6.1>c1", "4.1>c1"]);
  });

  test("without a task list gives each worker one first attempt, whoever is quicker", () => {
    const state = run({ oneTaskEach: true, teams: ["a", "b"].map((id) => ({ id, workers: 2 })) });
    add(state, task(1), task(2));
    state.handle({ type: "result", result: result(1) });
    expect(dispatches(add(state, task(3), task(4)))).toEqual(["3.1>a", "4.1>b"]);
    expect(dispatches(add(state, task(5)))).toEqual([]);
  });
});

describe("a result", () => {
  test("that is a success settles its task", () => {
    const state = run();
    add(state, task(1));
    state.handle({ type: "tasks_ended" });
    expect(state.done).toBe(false);
    expect(settled(state.handle({ type: "result", result: result(1) }))).toEqual(["1 exited"]);
    expect(state.done).toBe(true);
    expect(state.status).toBe("completed");
    expect(state.counts).toEqual({ total: 1, completed: 1, failed: 0, timed_out: 0, cancelled: 0, retried: 0 });
  });

  test("that comes a second time changes nothing", () => {
    const state = run();
    add(state, task(1));
    state.handle({ type: "result", result: result(1) });
    expect(state.handle({ type: "result", result: result(1) })).toEqual([]);
    expect(state.counts.completed).toBe(1);
  });

  test("of an attempt that was given up is ignored", () => {
    const state = run({ retries: 1 });
    add(state, task(1));
    state.handle({ type: "result", result: failed(1) });
    expect(state.handle({ type: "result", result: failed(1) })).toEqual([]);
    expect(state.counts).toMatchObject({ failed: 0, retried: 1 });
  });

  test("that is a failure is retried with the next attempt number, and its output dropped", () => {
    const state = run({ retries: 1 });
    add(state, task(1));
    const commands = state.handle({ type: "result", result: failed(1) });
    expect(commands.map((command) => command.type)).toEqual(["discard", "dispatch"]);
    expect(dispatches(commands)).toEqual(["1.2>c1"]);
    expect(settled(state.handle({ type: "result", result: failed(1, 2) }))).toEqual(["1 exited"]);
    expect(state.counts).toMatchObject({ failed: 1, retried: 1 });
  });

  test("that was cancelled is not retried", () => {
    const state = run({ retries: 5 });
    add(state, task(1));
    expect(settled(state.handle({ type: "result", result: result(1, { reason: "cancelled" }) }))).toEqual([
      "1 cancelled",
    ]);
  });

  test("obeys a task's own number of retries", () => {
    const state = run({ retries: 5 });
    add(state, task(1, { retries: 0 }));
    expect(settled(state.handle({ type: "result", result: failed(1) }))).toEqual(["1 exited"]);
  });

  test("is counted by its reason", () => {
    const state = run({ teams: [{ id: "c1", workers: 9 }] });
    const reasons = ["timed_out", "cancelled", "signalled", "not_started", "output_limit"] as const;
    reasons.forEach((reason, n) => {
      add(state, task(n + 1));
      state.handle({ type: "result", result: result(n + 1, { reason, exit_code: 1 }) });
    });
    state.handle({ type: "tasks_ended" });
    expect(state.counts).toMatchObject({ total: 5, completed: 0, failed: 3, timed_out: 1, cancelled: 1 });
    expect(state.status).toBe("failed");
  });
});

describe("halt", () => {
  test("never goes on after a failure", () => {
    const state = run();
    add(state, task(1), task(2));
    expect(state.handle({ type: "result", result: failed(1) }).map((command) => command.type)).toEqual(["settle"]);
    expect(state.ending).toBe(false);
  });

  test("soon starts nothing more and lets what runs finish", () => {
    const state = run({ halt: "soon", teams: [{ id: "c1", workers: 1 }] });
    add(state, task(1), task(2), task(3), task(4));
    const commands = state.handle({ type: "result", result: failed(1) });
    expect(commands.map((command) => command.type)).toEqual(["settle", "drain", "settle"]);
    expect(settled(commands)).toEqual(["1 exited", "4 cancelled"]);
    expect(state.room).toBe(0);
    expect(state.done).toBe(false);
    for (const seq of [2, 3]) state.handle({ type: "result", result: result(seq) });
    expect(state.done).toBe(true);
    expect(state.status).toBe("failed");
  });

  test("now ends what runs", () => {
    const state = run({ halt: "now" });
    add(state, task(1), task(2));
    expect(state.handle({ type: "result", result: failed(1) })).toContainEqual({ type: "stop", graceMs: 2000 });
  });

  test("waits for the last attempt of a task", () => {
    const state = run({ halt: "now", retries: 1 });
    add(state, task(1));
    state.handle({ type: "result", result: failed(1) });
    expect(state.ending).toBe(false);
    state.handle({ type: "result", result: failed(1, 2) });
    expect(state.ending).toBe(true);
  });
});

describe("stop", () => {
  test("cancels what waits, ends what runs and retries nothing", () => {
    const state = run({ retries: 3, teams: [{ id: "c1", workers: 1 }] });
    add(state, task(1), task(2), task(3), task(4));
    const commands = state.handle({ type: "stop", why: "interrupted", graceMs: 2000 });
    expect(commands[0]).toEqual({ type: "stop", graceMs: 2000 });
    expect(settled(commands)).toEqual(["4 cancelled"]);
    for (const seq of [1, 2, 3]) {
      expect(settled(state.handle({ type: "result", result: failed(seq) }))).toHaveLength(1);
    }
    expect(state.done).toBe(true);
    expect(state.status).toBe("interrupted");
  });

  test("passes a shorter grace on, and keeps the first reason", () => {
    const state = run();
    add(state, task(1));
    state.handle({ type: "stop", why: "timed_out", graceMs: 2000 });
    expect(state.handle({ type: "stop", why: "interrupted", graceMs: 0 })).toEqual([{ type: "stop", graceMs: 0 }]);
    expect(state.status).toBe("timed_out");
  });
});

describe("a lost coordinator", () => {
  const teams = ["a", "b"].map((id) => ({ id, workers: 1 }));
  const lost = (coordinator: string, more: { held?: Attempt[]; returns?: boolean } = {}) =>
    ({ type: "lost", coordinator, detail: "killed by signal 9", held: [], returns: false, ...more }) as const;
  const adopted = (commands: readonly RunCommand[]): string[] =>
    commands.flatMap((one) => (one.type === "adopt" ? [`${one.task.seq}.${one.attempt}<${one.coordinator}`] : []));

  test("has what it had not begun done by the others, without a retry being spent", () => {
    const state = run({ teams });
    add(state, task(1), task(2));
    expect(dispatches(state.handle(lost("a")))).toEqual(["1.2>b"]);
    expect(state.active).toBe(2);
    state.handle({ type: "result", result: result(1, { attempt: 2, exit_code: 1 }) });
    expect(state.counts).toMatchObject({ failed: 1, retried: 0 });
  });

  test("has retries left for its tasks that had none used", () => {
    const state = run({ teams, retries: 1 });
    add(state, task(1));
    state.handle(lost("a"));
    expect(dispatches(state.handle({ type: "result", result: result(1, { attempt: 2, exit_code: 1 }) }))).toEqual([
      "1.3>b",
    ]);
  });

  test("has agents that run on adopted, and their results count once", () => {
    const state = run({ teams });
    add(state, task(1), task(2));
    const commands = state.handle(lost("a", { held: [{ seq: 1, attempt: 1 }] }));
    expect(adopted(commands)).toEqual(["1.1<a"]);
    expect(dispatches(commands)).toEqual([]);
    expect(settled(state.handle({ type: "result", result: result(1) }))).toEqual(["1 exited"]);
    expect(settled(state.handle({ type: "result", result: result(1) }))).toEqual([]);
    expect(state.active).toBe(1);
  });

  test("has a task done anew whose adopted agent cannot be traced, or is of another attempt", () => {
    const state = run({ teams });
    add(state, task(1), task(2));
    state.handle(lost("a", { held: [{ seq: 1, attempt: 1 }] }));
    expect(dispatches(state.handle({ type: "untraced", attempt: { seq: 1, attempt: 1 } }))).toEqual(["1.2>b"]);
    expect(state.handle({ type: "untraced", attempt: { seq: 1, attempt: 1 } })).toEqual([]);
    const other = run({ teams });
    add(other, task(1));
    expect(dispatches(other.handle(lost("a", { held: [{ seq: 1, attempt: 7 }] })))).toEqual(["1.2>b"]);
  });

  test("that comes back is given tasks again, for as many workers as it then has", () => {
    const state = run({ teams: [{ id: "a", workers: 4 }], oneTaskEach: true });
    add(state, task(1));
    expect(state.handle(lost("a", { returns: true }))).toEqual([]);
    expect(state.wantsTeams).toBe(true);
    expect(dispatches(state.handle({ type: "hello", coordinator: "a", workers: 1 }))).toEqual(["1.2>a"]);
    expect(dispatches(add(state, task(2)))).toEqual([]);
    expect(dispatches(state.handle({ type: "hello", coordinator: "a", workers: 2 }))).toEqual(["2.1>a"]);
  });

  test("gives the first attempts that it still owed to the others", () => {
    const state = run({ teams, oneTaskEach: true });
    state.handle(lost("b"));
    add(state, task(1));
    state.handle({ type: "result", result: result(1) });
    expect(dispatches(add(state, task(2)))).toEqual(["2.1>a"]);
  });

  test("has its tasks cancelled where the run is being stopped", () => {
    const state = run({ teams });
    add(state, task(1));
    state.handle({ type: "stop", why: "interrupted", graceMs: 0 });
    expect(settled(state.handle(lost("a")))).toEqual(["1 cancelled"]);
    expect(state.done).toBe(true);
  });

  test("that was the last and does not return ends the run as failed", () => {
    const state = run({ retries: 9 });
    add(state, task(1));
    expect(settled(state.handle(lost("c1")))).toEqual(["1 lost"]);
    expect(state.done).toBe(true);
    expect(state.status).toBe("failed");
  });
});

test("a run without tasks is completed when the list has ended", () => {
  const state = run();
  expect(state.done).toBe(false);
  state.handle({ type: "tasks_ended" });
  expect(state.done).toBe(true);
  expect(state.status).toBe("completed");
});

describe("a run that is resumed", () => {
  test("counts what an earlier execution has recorded", () => {
    const state = run({ earlier: { completed: 3, failed: 1, timed_out: 1, retried: 4 } });
    expect(state.counts).toEqual({ total: 5, completed: 3, failed: 1, timed_out: 1, cancelled: 0, retried: 4 });
    add(state, task(6));
    state.handle({ type: "tasks_ended" });
    state.handle({ type: "result", result: result(6) });
    expect(state.counts).toMatchObject({ total: 6, completed: 4 });
    expect([state.done, state.status]).toEqual([true, "failed"]);
    const good = run({ earlier: { completed: 3, failed: 0, timed_out: 0, retried: 0 } });
    good.handle({ type: "tasks_ended" });
    expect([good.done, good.status]).toEqual([true, "completed"]);
  });
});

describe("a coordinator whose agents have all been stopped one by one", () => {
  const exhausted = (coordinator: string) => ({ type: "hello", coordinator, workers: 0, exhausted: true }) as const;

  test("is given no task, and what it gives back goes to others as another attempt", () => {
    const state = run({
      teams: [
        { id: "c1", workers: 1 },
        { id: "c2", workers: 4 },
      ],
    });
    expect(dispatches(add(state, task(1), task(2)))).toEqual(["1.1>c1", "2.1>c2"]);
    expect(state.handle(exhausted("c1"))).toEqual([]);
    expect(dispatches(state.handle({ type: "untraced", attempt: { seq: 1, attempt: 1 } }))).toEqual(["1.2>c2"]);
    expect(dispatches(add(state, task(3)))).toEqual(["3.1>c2"]);
  });

  test("ends the run if it was the last: what has not begun is cancelled, and says why", () => {
    const state = run({ teams: [{ id: "c1", workers: 1 }] });
    add(state, task(1), task(2), task(3), task(4));
    const commands = state.handle(exhausted("c1"));
    expect(commands[0]).toEqual({ type: "drain" });
    expect(settled(commands)).toEqual(["4 cancelled"]);
    expect(commands[1]).toMatchObject({ result: { detail: "no agent is left to do it" } });
    expect(settled(state.handle({ type: "untraced", attempt: { seq: 3, attempt: 1 } }))).toEqual(["3 cancelled"]);
    expect(state.ending).toBe(true);
    expect(state.status).toBe("failed");
  });

  test("is not one that waits for its seats to become free", () => {
    const state = run({ teams: [{ id: "c1", workers: 1 }] });
    expect(state.handle({ type: "hello", coordinator: "c1", workers: 0, exhausted: false })).toEqual([]);
    expect(dispatches(add(state, task(1)))).toEqual([]);
    expect(dispatches(state.handle({ type: "hello", coordinator: "c1", workers: 1 }))).toEqual(["1.1>c1"]);
  });
});

describe("admission", () => {
  const gated = (workers: number, more: Partial<RunPolicy> = {}): RunState =>
    run({ gated: true, teams: [{ id: "c1", workers }], ...more });

  test("nothing starts before the first look, not the first task either", () => {
    const state = gated(2);
    expect(dispatches(add(state, task(1)))).toEqual([]);
    expect(state.waits).toBe(true);
    expect(dispatches(state.handle({ type: "admission", starts: 4 }))).toEqual(["1.1>c1"]);
    expect(state.waits).toBe(false);
  });

  test("as many start as were let, and the rest with the next look", () => {
    const state = gated(10);
    state.handle({ type: "admission", starts: 3 });
    expect(dispatches(add(state, task(1), task(2), task(3), task(4), task(5)))).toHaveLength(3);
    expect(dispatches(state.handle({ type: "admission", starts: 0 }))).toEqual([]);
    expect(dispatches(state.handle({ type: "admission", starts: 9 }))).toEqual(["4.1>c1", "5.1>c1"]);
  });

  test("what runs goes on while it is closed, and its result is taken; what failed waits for its next attempt", () => {
    const state = gated(2, { retries: 1 });
    state.handle({ type: "admission", starts: 2 });
    add(state, task(1), task(2), task(3));
    state.handle({ type: "admission", starts: 0 });
    expect(settled(state.handle({ type: "result", result: result(1) }))).toEqual(["1 exited"]);
    const commands = state.handle({ type: "result", result: failed(2) });
    expect(commands.map(({ type }) => type)).toEqual(["discard"]);
    expect(dispatches(state.handle({ type: "admission", starts: 9 })).sort()).toEqual(["2.2>c1", "3.1>c1"]);
  });

  test("no task is given out ahead of a free worker: it would start though it is closed by then", () => {
    const state = gated(8);
    expect(state.room).toBe(8);
    state.handle({ type: "admission", starts: 100 });
    expect(dispatches(add(state, ...Array.from({ length: 12 }, (_, n) => task(n + 1))))).toHaveLength(8);
  });

  test("a run that is ended while it is closed has a result for each task", () => {
    const state = gated(2);
    add(state, task(1), task(2));
    expect(settled(state.handle({ type: "stop", why: "timed_out", graceMs: 0 }))).toEqual([
      "1 cancelled",
      "2 cancelled",
    ]);
    expect(state.done).toBe(true);
  });

  test("without marks nothing is held up", () => {
    const state = run({ teams: [{ id: "c1", workers: 2 }] });
    expect(dispatches(add(state, task(1), task(2)))).toHaveLength(2);
  });
});
