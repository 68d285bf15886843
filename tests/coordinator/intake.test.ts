import { expect, test } from "bun:test";
import { readTasks, type Taker } from "../../src/coordinator/intake.ts";
import type { TaskSource } from "../../src/coordinator/source.ts";
import type { TaskSpec } from "../../src/coordinator/spec.ts";
import { CfnError } from "../../src/errors.ts";
import { limits } from "../../src/limits.ts";
import { until } from "../support/swarm.ts";

const task = (seq: number): TaskSpec => ({ seq, id: `t${seq}`, label: `t${seq}`, run: "x", priority: 0 });
const tasks = (count: number): TaskSpec[] => Array.from({ length: count }, (_, n) => task(n + 1));
const never = (): Promise<void> => new Promise(() => undefined);

/** A source that says these things one after the other, and a run that takes what it reads; `story` is what happened. */
function scene(said: readonly (ReturnType<TaskSource["next"]> | CfnError)[]) {
  const story: string[] = [];
  const state = { ending: false, room: 1_000_000 };
  const output = { held: 0 };
  const done = new Set<number>();
  const rest = [...said];
  const source = {
    next: () => {
      const next = rest.shift() ?? "end";
      if (next instanceof CfnError) throw next;
      return next;
    },
    more: never,
    close: () => void story.push("closed"),
  };
  const taker = {
    ...{ state, output, recorder: done },
    handle: ((event) => {
      if (event.type === "task_available") story.push(`task ${event.task.seq}`);
    }) as Taker["handle"],
    flush: () => void story.push("flushed"),
    change: never,
    onWarning: (text: string) => void story.push(text),
  };
  return { story, state, output, done, source, taker, read: () => readTasks(source, taker) };
}

test("a list is read to its end, and closed", async () => {
  const { story, read } = scene(tasks(2));
  expect(await read()).toBe(true);
  expect(story).toEqual(["task 1", "task 2", "closed"]);
});

test("a task that has its result is passed over", async () => {
  const { story, done, read } = scene(tasks(3));
  done.add(2);
  await read();
  expect(story).toEqual(["task 1", "task 3", "closed"]);
});

test("bursts are handed over, each twice as large as the one before, up to a bound", async () => {
  const { story, read } = scene(tasks(1000));
  await read();
  const bursts = story.join().split("flushed");
  expect(bursts.map((burst) => burst.split("task").length - 1)).toEqual([16, 32, 64, 128, 256, 256, 248]);
});

test("where there is no room, what was read is handed over and nothing more is read until there is", async () => {
  const { story, state, taker, read } = scene(tasks(1));
  state.room = 0;
  taker.change = () => {
    story.push("waited");
    state.room = 1;
    return Promise.resolve();
  };
  expect(await read()).toBe(true);
  expect(story).toEqual(["flushed", "waited", "task 1", "closed"]);
});

test("nothing is read while too many results wait to be printed", async () => {
  const { story, output, taker, read } = scene(tasks(1));
  output.held = limits.resultsHeld + 1;
  taker.change = () => {
    story.push("waited");
    output.held--;
    return Promise.resolve();
  };
  await read();
  expect(story).toEqual(["flushed", "waited", "task 1", "closed"]);
});

test("before input is waited for, what was read is handed over", async () => {
  const { story, source, read } = scene([task(1), "wait", task(2)]);
  source.more = () => {
    story.push("more");
    return Promise.resolve();
  };
  await read();
  expect(story).toEqual(["task 1", "flushed", "more", "task 2", "closed"]);
});

test("a run that ends does not wait for input, and what goes wrong with that later is a warning", async () => {
  const { story, state, source, taker, read } = scene(["wait"]);
  const { promise, reject } = Promise.withResolvers<void>();
  source.more = () => promise;
  taker.change = () => {
    state.ending = true;
    return Promise.resolve();
  };
  expect(await read()).toBe(false);
  expect(story).toEqual(["flushed", "closed"]);
  reject(new Error("it is gone"));
  await promise.catch((error: Error) => expect(error.message).toBe("it is gone"));
  await until("the warning", () => story.length > 2);
  expect(story.slice(2)).toEqual(["reading tasks: Error: it is gone"]);
});

test("once input has come, more is asked for", async () => {
  const { source, read } = scene(["wait", "wait", "wait"]);
  let asked = 0;
  source.more = () => {
    asked++;
    return Promise.resolve();
  };
  await read();
  expect(asked).toBe(3);
});

test("input that was asked for is not asked for again", async () => {
  const { state, source, taker, read } = scene(["wait", "wait", "wait"]);
  let asked = 0;
  source.more = () => {
    asked++;
    return never();
  };
  let changes = 0;
  taker.change = () => {
    state.ending = ++changes === 3;
    return Promise.resolve();
  };
  await read();
  expect([asked, changes]).toEqual([1, 3]);
});

test("an error of the source is the reader's, after what was read before and with the source closed", async () => {
  const error = new CfnError("malformed", "line 2 is no task");
  const { story, read } = scene([task(1), error]);
  const thrown = await read().catch((caught: unknown) => caught);
  expect(thrown).toBe(error);
  expect(story).toEqual(["task 1", "closed"]);
});
