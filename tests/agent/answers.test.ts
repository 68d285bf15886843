import { expect, test } from "bun:test";
import { Answers } from "../../src/agent/answers.ts";
import type { Ending } from "../../src/agent/ending.ts";
import type { Execution } from "../../src/agent/execution.ts";
import type { Mail } from "../../src/agent/mailbox.ts";
import type { Seat } from "../../src/agent/seat.ts";
import { openSeats, registerSeats } from "../../src/agent/seating.ts";
import { StateFiles } from "../../src/agent/states.ts";
import type { Bus } from "../../src/bus/contract.ts";
import type { TaskPayload } from "../../src/message/protocol.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { until } from "../support/swarm.ts";

const ending: Ending = { reason: "exited", exitCode: 0, signal: 0 };
const times = { startedAt: 1, runTimeMs: 1 };

interface Scene {
  readonly bus: Bus;
  readonly answers: Answers;
  /** Each with a task that it has taken. */
  readonly seats: readonly Seat[];
  readonly story: readonly string[];
  /** The seat's task has ended. */
  readonly report: (seat: Seat) => void;
  /** What the lead has got. */
  readonly results: () => unknown[];
}

/** Two seats with a task each, whose lead is on the bus only if it `listens`. */
function scene(listens: boolean, use: (scene: Scene) => void | Promise<void>): Promise<void> {
  return withOpenBus(async (bus, dir) => {
    const states = new StateFiles(dir);
    const story: string[] = [];
    const ids = ["w1", "w2"];
    if (listens) bus.register({ id: "lead", role: "coordinator" });
    registerSeats(bus, "lead", ids);
    for (const [n, to] of ids.entries()) {
      const payload = { task_id: `t${n + 1}`, seq: n + 1, attempt: 1, run: "x" };
      expect(bus.send({ from: "lead", to, type: "task", payload, chain: "control" }).status).toBe("accepted");
    }
    const seats = openSeats(bus, ids, states);
    const mail = new Map<Seat, Mail>();
    for (const [number, seat] of seats.entries()) {
      seat.readMail();
      const taken = seat.mailbox.takeTask() as Mail;
      mail.set(seat, taken);
      const files = { out: `${dir}/out`, err: `${dir}/err` };
      seat.running = { mail: taken, taskId: `t${number + 1}`, number, execution: {} as Execution, files };
      seat.meet("assigned");
      seat.meet("started");
      seat.meet("ended");
    }
    const options = { bus, lead: "lead", runId: "r", spool: dir, outputBytesMax: 100 };
    const onWarning = (text: string): void => void story.push(text);
    const answers = new Answers(
      { ...options, onWarning },
      {
        onSettled: (settled) => void story.push(`settled ${settled.map(({ id }) => id).join()}`),
        onSent: (accepted) => void story.push(`sent ${accepted}`),
      },
    );
    const report = (seat: Seat): void => {
      const taken = mail.get(seat) as Mail;
      answers.report(seat, taken, taken.task as TaskPayload, ending, times);
    };
    const results = (): unknown[] => bus.peek("lead", "control", 9).map(({ payload }) => payload);
    await use({ bus, answers, seats, story, report, results });
    states.abandon();
  });
}

test("results of one turn of the loop go to the lead as one batch, and their tasks leave the bus", () =>
  scene(true, async ({ answers, seats, story, report, results }) => {
    for (const seat of seats) report(seat);
    expect([answers.waiting, story]).toEqual([2, []]);
    await Promise.resolve();
    expect([answers.waiting, story]).toEqual([0, ["settled w1,w2", "sent 2"]]);
    expect(results()).toMatchObject([
      { task_id: "t1", agent_id: "w1", reason: "exited" },
      { task_id: "t2", agent_id: "w2", reason: "exited" },
    ]);
    expect(seats.map(({ lease, running }) => [lease.depth(), running])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
  }));

test("results of another turn are another batch", () =>
  scene(true, async ({ seats, story, report }) => {
    for (const seat of seats) {
      report(seat);
      await Promise.resolve();
    }
    expect(story).toEqual(["settled w1", "sent 1", "settled w2", "sent 1"]);
  }));

test("where nothing waits nothing is said", () =>
  scene(true, ({ answers, story }) => {
    answers.flush();
    expect(story).toEqual([]);
  }));

test("a task stays on the bus, and its seat's, until its result is there", () =>
  scene(false, ({ bus, answers, seats, story, report }) => {
    const [seat] = seats as [Seat];
    report(seat);
    answers.flush();
    expect([answers.waiting, seat.lease.depth(), seat.running?.taskId]).toEqual([1, 1, "t1"]);
    expect(story).toEqual(["results wait to be sent to lead: lead is not registered", "settled ", "sent 0"]);
    bus.register({ id: "lead", role: "coordinator" });
    answers.flush();
    expect([answers.waiting, seat.lease.depth(), seat.running]).toEqual([0, 0, undefined]);
    expect(story.slice(3)).toEqual(["settled w1", "sent 1"]);
  }));

test("what the bus did not take is offered again by itself", () =>
  scene(false, async ({ bus, answers, seats, story, report, results }) => {
    for (const seat of seats) report(seat);
    await Promise.resolve();
    expect(story.slice(1)).toEqual(["settled ", "sent 0"]);
    bus.register({ id: "lead", role: "coordinator" });
    await until("the result", () => answers.waiting === 0);
    expect(results()).toMatchObject([{ task_id: "t1" }, { task_id: "t2" }]);
  }));

test("an agent that was stopped by itself is stopped once its result is on the bus", () =>
  scene(true, ({ answers, seats, report }) => {
    const [one, other] = seats as [Seat, Seat];
    one.retired = true;
    for (const seat of seats) report(seat);
    expect(one.state).toBe("COMPLETE");
    answers.flush();
    expect([one.state, other.state]).toEqual(["STOPPED", "COMPLETE"]);
  }));
