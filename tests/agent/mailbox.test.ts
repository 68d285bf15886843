import { expect, test } from "bun:test";
import { Mailbox } from "../../src/agent/mailbox.ts";

const task = (id: string) => ({ task_id: id, seq: 1, attempt: 1, run: "x" });

test("only the oldest messages are acknowledged, and only once they are settled", () => {
  const box = new Mailbox();
  box.add(task("a"));
  box.add(undefined);
  box.add(task("b"));
  const first = box.takeTask();
  expect(first?.task?.task_id).toBe("a");
  expect(box.dropSettled()).toBe(0);
  const second = box.takeTask();
  if (first === undefined || second === undefined) throw new Error("two tasks were added");
  second.status = "settled";
  expect(box.dropSettled()).toBe(0);
  first.status = "settled";
  expect(box.dropSettled()).toBe(3);
  expect(box.length).toBe(0);
});

test("a task is taken once", () => {
  const box = new Mailbox();
  box.add(task("a"));
  box.add(task("b"));
  expect(box.takeWaiting("b").map((mail) => mail.task?.task_id)).toEqual(["b"]);
  expect(box.takeTask()?.task?.task_id).toBe("a");
  expect(box.takeTask()).toBeUndefined();
  expect(box.takeWaiting()).toEqual([]);
});

test("a message that is kept is acknowledged only when all are settled", () => {
  const box = new Mailbox();
  box.add(task("a"));
  box.keep("stop");
  const first = box.takeTask();
  if (first === undefined) throw new Error("a task was added");
  first.status = "settled";
  expect(box.dropSettled()).toBe(1);
  expect(box.dropSettled()).toBe(0);
  box.settleAll();
  expect(box.dropSettled()).toBe(1);
});
